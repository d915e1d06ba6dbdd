import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { WitnessPost } from './ask-witness.ts';

/** How a witness is reached. */
export interface HttpWitnessPostOptions {
  /** PEM certificates of the authorities that witnesses' servers are trusted by; default those of the system. */
  readonly ca?: string;
}

/**
 * Posts to witnesses over HTTP/1.1, with TLS where the URL says `https`, on connections that are kept open.
 *
 * @returns the function, and what closes its connections
 */
export function httpWitnessPost({ ca }: HttpWitnessPostOptions = {}): {
  readonly post: WitnessPost;
  close(): void;
} {
  const http = new HttpAgent({ keepAlive: true });
  const https = new HttpsAgent({ keepAlive: true, ...(ca !== undefined && { ca }) });
  const post: WitnessPost = (url, body, { signal, bytesMax }) =>
    new Promise((resolve, reject) => {
      const headers = {
        'content-type': 'text/plain; charset=utf-8',
        'content-length': Buffer.byteLength(body),
      };
      const options = { method: 'POST', headers, signal };
      const onAnswer = (response: IncomingMessage) => {
        readAnswer(response, bytesMax).then(
          (bytes) =>
            resolve({
              status: response.statusCode ?? 0,
              contentType: response.headers['content-type'] ?? '',
              body: bytes,
            }),
          reject,
        );
      };
      const request = url.startsWith('https:')
        ? httpsRequest(url, { ...options, agent: https }, onAnswer)
        : httpRequest(url, { ...options, agent: http }, onAnswer);
      request.on('error', reject);
      request.end(body);
    });
  return {
    post,
    close: () => {
      http.destroy();
      https.destroy();
    },
  };
}

async function readAnswer(response: IncomingMessage, bytesMax: number): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    bytes += (chunk as Buffer).length;
    // Leaving the loop destroys the connection.
    if (bytes > bytesMax) throw new Error(`found an answer of more than ${bytesMax} bytes`);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}
