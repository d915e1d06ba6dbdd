export async function runWho(): Promise<number> {
  return 3;
}
