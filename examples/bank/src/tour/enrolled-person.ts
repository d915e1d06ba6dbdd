import { join } from 'node:path';
import type { Dispatcher } from 'undici';
import { BankError } from '../bank-error.ts';
import type { Person } from '../callers/open-application.ts';
import { openSoftwareBrowser } from '../callers/software-browser.ts';
import { makeSoftwarePasskey, readSoftwarePasskey } from '../callers/software-passkey.ts';
import type { TourEnvironment } from './scene.ts';

/**
 * Somebody with a passkey: the one from an earlier tour on the same data, or one that is registered now,
 * by the one-time code that the operator makes.
 */
export async function enrolledPerson(
  env: TourEnvironment,
  {
    name,
    dispatcher,
    invite,
  }: {
    /** Of the file that keeps the passkey. */
    readonly name: string;
    readonly dispatcher: Dispatcher;
    /** What the operator asks for the code. */
    readonly invite: { readonly path: string; readonly body: unknown };
  },
): Promise<Person> {
  const browser = openSoftwareBrowser(env.issuerUrl, dispatcher);
  const file = join(env.peopleFolder, `${name}.passkey.json`);
  const kept = await readSoftwarePasskey(file);
  if (kept) return { browser, passkey: kept };
  const { code } = await asOperator<{ code: string }>(env, invite.path, invite.body);
  const passkey = makeSoftwarePasskey(file);
  await browser.enrol(code, passkey);
  await passkey.keep();
  return { browser, passkey };
}

/** Asks the operator's socket, which must say yes. */
export async function asOperator<T>(env: TourEnvironment, path: string, sent: unknown): Promise<T> {
  const { status, body } = await env.admin('POST', path, sent);
  if (status < 300) return body as T;
  const { detail } = (body ?? {}) as { detail?: unknown };
  throw new BankError('ERR_BANK_TOUR', `could not ask '${path}': found ${status} ${detail}`);
}
