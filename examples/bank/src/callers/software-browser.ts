import { type Dispatcher, request } from 'undici';
import { BankError } from '../bank-error.ts';
import { readBounded } from '../http/read-bounded.ts';
import type { CreationOptions, PasskeySite, SoftwarePasskey } from './software-passkey.ts';

/** As much of a browser as signing in takes: cookies, redirects, and what the pages' script does. */
export interface SoftwareBrowser {
  /** Types a one-time code at `/enrol` and registers a passkey by it. */
  enrol(code: string, passkey: SoftwarePasskey): Promise<void>;
  /** From the authorization endpoint back to the application, by a passkey where one is asked for. */
  signIn(url: URL, passkey: SoftwarePasskey): Promise<URL>;
  /** The same by an identity provider, whose button is pressed, and whose form is filled in. */
  signInAt(url: URL, provider: string, account: ProviderAccount): Promise<URL>;
}

/** What somebody types at the identity provider. */
export interface ProviderAccount {
  readonly name: string;
  readonly password: string;
}

interface Answer {
  readonly status: number;
  readonly location: string | undefined;
  readonly text: string;
}

const ANSWER_BYTES_MAX = 512 * 1024;
const HOPS_MAX = 10;

interface Cookie {
  readonly origin: string;
  readonly name: string;
  readonly value: string;
  readonly path: string;
}

/** Opens one that goes to the issuer and to `origins`, and keeps their cookies; whatever fails is `ERR_BANK_SIGN_IN`. */
export function openSoftwareBrowser(options: {
  readonly issuerUrl: string;
  readonly origins?: readonly string[];
  readonly dispatcher: Dispatcher;
}): SoftwareBrowser {
  const { issuerUrl, origins = [], dispatcher } = options;
  const { origin, hostname: rpId } = new URL(issuerUrl);
  const site: PasskeySite = { origin, rpId };
  const cookies = new Map<string, Cookie>();

  const ask = async (url: URL, sent?: { type: string; text: string }): Promise<Answer> => {
    const cookie = [...cookies.values()]
      .filter((each) => each.origin === url.origin && covers(each.path, url.pathname))
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ');
    const answer = await request(url, {
      dispatcher,
      method: sent === undefined ? 'GET' : 'POST',
      headers: {
        ...(cookie && { cookie }),
        ...(sent && { 'content-type': sent.type, origin: url.origin }),
      },
      body: sent?.text ?? null,
    });
    for (const line of [answer.headers['set-cookie'] ?? []].flat()) {
      keepCookie(cookies, url.origin, line);
    }
    const { location } = answer.headers;
    const text = await readBounded(answer.body, ANSWER_BYTES_MAX);
    return {
      status: answer.statusCode,
      location: typeof location === 'string' ? location : undefined,
      text,
    };
  };
  // As the page's script asks.
  const post = async <T>(path: string, body: unknown): Promise<T> => {
    const { status, text } = await ask(new URL(path, origin), {
      type: 'application/json',
      text: JSON.stringify(body),
    });
    if (status !== 200 && status !== 201) {
      throw new BankError(
        'ERR_BANK_SIGN_IN',
        `could not go on at '${path}': found ${status} ${text.slice(0, 200)}`,
      );
    }
    return JSON.parse(text === '' ? '{}' : text) as T;
  };
  const go = async (
    url: URL,
    sent?: { type: string; text: string },
  ): Promise<{ readonly url: URL; readonly page?: string }> => {
    let next = url;
    for (let hops = 0; hops < HOPS_MAX; hops += 1) {
      if (next.origin !== origin && !origins.includes(next.origin)) return { url: next };
      const { status, location, text } = await ask(next, hops === 0 ? sent : undefined);
      if (status < 300 || status > 399 || location === undefined) return { url: next, page: text };
      next = new URL(location, next);
    }
    throw new BankError('ERR_BANK_SIGN_IN', `could not sign in: redirected ${HOPS_MAX} times`);
  };

  return {
    enrol: async (code, passkey) => {
      const { options } = await post<{ options: CreationOptions }>('/enrol/options', {
        code,
        hardware: false,
      });
      const response = passkey.create(options, site);
      await post('/enrol/finish', { code, label: 'for the tour', response, hardware: false });
    },
    signIn: async (url, passkey) => {
      const asked = await go(url);
      // Who is signed in already, and is asked for no more, sees no page.
      if (asked.page === undefined) return asked.url;
      const pathname = interactionOf(asked.url, origin);
      const options = await post<{ challenge: string }>(`${pathname}/options`, {});
      const assertion = passkey.get(options, site);
      const { location } = await post<{ location: string }>(`${pathname}/login`, assertion);
      return backAt(await go(new URL(location, origin)));
    },
    signInAt: async (url, provider, account) => {
      const pathname = interactionOf((await go(url)).url, origin);
      const form = await go(new URL(`${pathname}/idp?with=${provider}`, origin));
      const { name, password } = account;
      const text = new URLSearchParams({ name, password }).toString();
      return backAt(await go(form.url, { type: 'application/x-www-form-urlencoded', text }));
    },
  };
}

/** The page of the issuer that asks how to sign in. */
function interactionOf({ origin, pathname }: URL, issuer: string): string {
  if (origin === issuer && pathname.startsWith('/interaction/')) return pathname;
  throw new BankError('ERR_BANK_SIGN_IN', `could not sign in: found a page at '${pathname}'`);
}

/** At the application, where no page of the issuer's is left to answer. */
function backAt({ url, page }: { readonly url: URL; readonly page?: string }): URL {
  if (page === undefined) return url;
  throw new BankError(
    'ERR_BANK_SIGN_IN',
    `could not sign in: found another page at '${url.pathname}'`,
  );
}

function covers(path: string, pathname: string): boolean {
  return path === '/' || pathname === path || pathname.startsWith(`${path}/`);
}

function keepCookie(cookies: Map<string, Cookie>, origin: string, line: string): void {
  const [pair = ''] = line.split(';', 1);
  const at = pair.indexOf('=');
  const [name, value] = [pair.slice(0, at), pair.slice(at + 1)];
  const [, path = '/'] = /;\s*path=([^;]*)/i.exec(line) ?? [];
  // RFC 6265 §5.3 step 11: one of the same name for another path is another one.
  const key = `${origin} ${path} ${name}`;
  if (value === '' || /max-age=0|expires=Thu, 01 Jan 1970/i.test(line)) cookies.delete(key);
  else cookies.set(key, { origin, name, value, path });
}
