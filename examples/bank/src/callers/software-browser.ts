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
}

interface Answer {
  readonly status: number;
  readonly location: string | undefined;
  readonly text: string;
}

const ANSWER_BYTES_MAX = 512 * 1024;
const HOPS_MAX = 10;

/** Opens one that keeps the issuer's cookies; whatever fails is `ERR_BANK_SIGN_IN`. */
export function openSoftwareBrowser(issuerUrl: string, dispatcher: Dispatcher): SoftwareBrowser {
  const { origin, hostname: rpId } = new URL(issuerUrl);
  const site: PasskeySite = { origin, rpId };
  const cookies = new Map<string, { readonly value: string; readonly path: string }>();

  const ask = async (url: URL, body?: unknown): Promise<Answer> => {
    const cookie = [...cookies]
      .filter(([, { path }]) => covers(path, url.pathname))
      .map(([name, { value }]) => `${name}=${value}`)
      .join('; ');
    const answer = await request(url, {
      dispatcher,
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        ...(cookie && { cookie }),
        ...(body !== undefined && { 'content-type': 'application/json', origin }),
      },
      body: body === undefined ? null : JSON.stringify(body),
    });
    for (const line of [answer.headers['set-cookie'] ?? []].flat()) keepCookie(cookies, line);
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
    const { status, text } = await ask(new URL(path, origin), body);
    if (status !== 200 && status !== 201) {
      throw new BankError(
        'ERR_BANK_SIGN_IN',
        `could not go on at '${path}': found ${status} ${text.slice(0, 200)}`,
      );
    }
    return JSON.parse(text === '' ? '{}' : text) as T;
  };
  const go = async (url: URL): Promise<{ readonly url: URL; readonly page?: string }> => {
    let next = url;
    for (let hops = 0; hops < HOPS_MAX; hops += 1) {
      if (next.origin !== origin) return { url: next };
      const { status, location, text } = await ask(next);
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
      const { pathname } = asked.url;
      if (!pathname.startsWith('/interaction/')) {
        throw new BankError('ERR_BANK_SIGN_IN', `could not sign in: found a page at '${pathname}'`);
      }
      const options = await post<{ challenge: string }>(`${pathname}/options`, {});
      const assertion = passkey.get(options, site);
      const { location } = await post<{ location: string }>(`${pathname}/login`, assertion);
      const back = await go(new URL(location, origin));
      if (back.page === undefined) return back.url;
      throw new BankError(
        'ERR_BANK_SIGN_IN',
        `could not sign in: found another page at '${back.url.pathname}'`,
      );
    },
  };
}

function covers(path: string, pathname: string): boolean {
  return path === '/' || pathname === path || pathname.startsWith(`${path}/`);
}

function keepCookie(
  cookies: Map<string, { readonly value: string; readonly path: string }>,
  line: string,
): void {
  const [pair = ''] = line.split(';', 1);
  const at = pair.indexOf('=');
  const [name, value] = [pair.slice(0, at), pair.slice(at + 1)];
  const [, path = '/'] = /;\s*path=([^;]*)/i.exec(line) ?? [];
  if (value === '' || /max-age=0|expires=Thu, 01 Jan 1970/i.test(line)) cookies.delete(name);
  else cookies.set(name, { value, path });
}
