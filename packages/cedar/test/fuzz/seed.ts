/** The seed of this run: `CEDAR_FUZZ_SEED`, else one that is another every day. */
export function seedOfRun(): number {
  const given = process.env['CEDAR_FUZZ_SEED'];
  if (given !== undefined) return Number(given);
  const today = new Date();
  return today.getUTCFullYear() * 10_000 + (today.getUTCMonth() + 1) * 100 + today.getUTCDate();
}
