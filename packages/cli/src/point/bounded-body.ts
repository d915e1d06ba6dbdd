/** The text of an answer. @throws when it is longer */
export async function bounded(body: AsyncIterable<Uint8Array>, bytesMax: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > bytesMax) throw new Error(`found more than ${bytesMax} bytes in the answer`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
