import { BankError } from '../bank-error.ts';
import { asOperator } from './enrolled-person.ts';
import type { TourEnvironment } from './scene.ts';

/** One employment, with the columns of `countersign hr import`. */
export type EmploymentRow = Readonly<Record<string, string>> & { readonly userName: string };

/** One row of the HR feed, applied; gives the SPIFFE ID of whom it is about. */
export async function employ(env: TourEnvironment, row: EmploymentRow): Promise<string> {
  const feed = { rows: [row], apply: true };
  const { isApplied } = await asOperator<{ isApplied: boolean }>(
    env,
    '/v1/people/hr-imports',
    feed,
  );
  const person = await inDirectory(env, row);
  if (isApplied && person) return person.spiffeId;
  throw new BankError(
    'ERR_BANK_TOUR',
    'could not import the HR feed: found it refused, expected it applied',
  );
}

/** Somebody as the directory has it, once a feed has told of it. */
export async function inDirectory(
  env: TourEnvironment,
  { userName }: { readonly userName: string },
): Promise<{ readonly spiffeId: string; readonly enabled: boolean } | undefined> {
  const path = `/v1/people/show?name=${encodeURIComponent(userName)}`;
  const { status, body } = await env.admin('GET', path);
  return status === 200 ? (body as { spiffeId: string; enabled: boolean }) : undefined;
}
