export async function runCedarVectors(): Promise<number> { return 3; }
