export async function runFilter(): Promise<number> {
  return 3;
}
