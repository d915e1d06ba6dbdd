import { join } from 'node:path';
import type { Dispatcher } from 'undici';
import { BankError } from '../bank-error.ts';
import type { SignIn } from '../callers/open-application.ts';
import { openSoftwareBrowser, type SoftwareBrowser } from '../callers/software-browser.ts';
import { makeSoftwarePasskey, readSoftwarePasskey } from '../callers/software-passkey.ts';
import type { TourEnvironment } from './scene.ts';

/** Somebody at a browser, with a passkey. */
export interface Person {
  readonly browser: SoftwareBrowser;
  /** Signs in, or signs in again, with the passkey. */
  readonly withPasskey: SignIn;
}

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
    origins = [],
  }: {
    /** Of the file that keeps the passkey. */
    readonly name: string;
    readonly dispatcher: Dispatcher;
    /** Where the browser goes beside the issuer. */
    readonly origins?: readonly string[];
    /** What the operator asks for the code. */
    readonly invite: { readonly path: string; readonly body: unknown };
  },
): Promise<Person> {
  const browser = openSoftwareBrowser({ issuerUrl: env.issuerUrl, origins, dispatcher });
  const file = join(env.peopleFolder, `${name}.passkey.json`);
  const kept = await readSoftwarePasskey(file);
  if (kept) return { browser, withPasskey: (url) => browser.signIn(url, kept) };
  const { code } = await asOperator<{ code: string }>(env, invite.path, invite.body);
  const passkey = makeSoftwarePasskey(file);
  await browser.enrol(code, passkey);
  await passkey.keep();
  return { browser, withPasskey: (url) => browser.signIn(url, passkey) };
}

/** Asks the operator's socket, which must say yes. */
export async function asOperator<T>(env: TourEnvironment, path: string, sent: unknown): Promise<T> {
  const { status, body } = await env.admin('POST', path, sent);
  if (status < 300) return body as T;
  const { detail } = (body ?? {}) as { detail?: unknown };
  throw new BankError('ERR_BANK_TOUR', `could not ask '${path}': found ${status} ${detail}`);
}
