export async function runExplain(): Promise<number> { return 3; }
