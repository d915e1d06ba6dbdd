import { type Caller, openCaller } from '../callers/open-caller.ts';
import type { PartnerName } from '../callers/partner.ts';
import type { TourEnvironment } from './scene.ts';

/** Opens callers for the time of a scene; `undefined` is a stranger. */
export async function withCallers<T>(
  env: TourEnvironment,
  names: readonly (PartnerName | undefined)[],
  use: (...callers: Caller[]) => Promise<T>,
): Promise<T> {
  const callers = names.map((name) => openCaller(env, name));
  try {
    return await use(...callers);
  } finally {
    await Promise.all(callers.map((caller) => caller.close()));
  }
}
