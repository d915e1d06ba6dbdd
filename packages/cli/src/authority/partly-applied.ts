/** What is put into force, in this order: who is gone goes first, and policies come when all whom they may speak of are known. */
export type ApplyStep = 'enforcement points' | 'federation' | 'identities' | 'policies';

/** A repository of which a step could not be put into force: those before it are, of itself it may be a part. */
export class PartlyApplied extends Error {
  constructor(step: ApplyStep, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause);
    super(
      `could not put the ${step} of the repository into force: ${why.slice(0, 500)}; what comes before is in force, the rest is as it was: apply again`,
      { cause },
    );
  }
}

/** One step of several. @throws {PartlyApplied} */
export async function applyStep<Result>(
  step: ApplyStep,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    throw new PartlyApplied(step, cause);
  }
}
