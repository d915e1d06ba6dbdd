import type { Ceremony, Flaws, SoftwareAuthenticator } from './software-authenticator.ts';

/** As much of a browser as the pages need: cookies, redirects, and the page's script by hand. */
export class Browser {
  readonly cookies = new Map<string, { readonly value: string; readonly attributes: string }>();
  readonly origin: string;
  readonly #fetch: typeof fetch;
  readonly #ceremony: Ceremony;

  constructor(origin: string, fetchIt: typeof fetch) {
    this.origin = origin;
    this.#fetch = fetchIt;
    this.#ceremony = { origin, rpId: 'localhost' };
  }

  async request(path: string, init: RequestInit = {}): Promise<Response> {
    const url = new URL(path, this.origin);
    const cookie = [...this.cookies]
      .filter(([, { attributes }]) => {
        const [, scope = '/'] = /path=([^;]*)/i.exec(attributes) ?? [];
        // RFC 6265 §5.1.4
        return url.pathname === scope || url.pathname.startsWith(scope.replace(/\/?$/, '/'));
      })
      .map(([name, { value }]) => `${name}=${value}`)
      .join('; ');
    const response = await this.#fetch(url, {
      redirect: 'manual',
      ...init,
      headers: { ...(cookie && { cookie }), ...(init.headers as Record<string, string>) },
    });
    for (const line of response.headers.getSetCookie()) {
      const [pair = '', ...attributes] = line.split(/; */);
      const at = pair.indexOf('=');
      const [name, value] = [pair.slice(0, at), pair.slice(at + 1)];
      if (value === '' || /max-age=0|expires=Thu, 01 Jan 1970/i.test(line))
        this.cookies.delete(name);
      else this.cookies.set(name, { value, attributes: attributes.join('; ') });
    }
    return response;
  }

  /** As the page's script asks. */
  async post(path: string, body: unknown = {}, headers: Record<string, string> = {}) {
    const response = await this.request(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: this.origin, ...headers },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    // biome-ignore lint/suspicious/noExplicitAny: what a test expects of it, it says itself
    return { status: response.status, body: text === '' ? undefined : (JSON.parse(text) as any) };
  }

  /** Goes where it is sent on the issuer, until a page is shown or another place is named. */
  async go(url: URL | string): Promise<Visited> {
    let next = new URL(url, this.origin);
    for (let hops = 0; hops < 10; hops += 1) {
      if (next.origin !== this.origin) return { url: next };
      const response = await this.request(next.href);
      const location = response.headers.get('location');
      if (response.status < 300 || response.status >= 400 || location === null) {
        return { url: next, page: { response, html: await response.text() } };
      }
      next = new URL(location, next);
    }
    throw new Error('redirected too often');
  }

  /** On the page of an interaction: asks for a passkey, and sends what it signed. */
  async answer(page: Visited, authenticator: SoftwareAuthenticator, flaws: Flaws = {}) {
    const options = await this.post(`${page.url.pathname}/options`);
    const assertion = authenticator.get(options.body, this.#ceremony, flaws);
    return this.post(`${page.url.pathname}/login`, assertion);
  }

  /** From the authorization endpoint to the application's callback, by a passkey where one is asked for. */
  async signIn(url: URL, authenticator: SoftwareAuthenticator): Promise<URL> {
    const visited = await this.go(url);
    if (!visited.page) return visited.url;
    const { status, body } = await this.answer(visited, authenticator);
    if (status !== 200) throw new Error(`not signed in: ${status} ${JSON.stringify(body)}`);
    const { url: callback, page } = await this.go(body.location);
    if (page) throw new Error(`no callback: ${page.response.status} ${page.html}`);
    return callback;
  }

  async enrol(
    code: string,
    authenticator: SoftwareAuthenticator,
    { hardware = false, flaws = {} }: { hardware?: boolean; flaws?: Flaws } = {},
  ) {
    const asked = await this.post('/enrol/options', { code, hardware });
    if (asked.status !== 200) return asked;
    const response = authenticator.create(asked.body.options, this.#ceremony, flaws);
    return this.post('/enrol/finish', {
      ...{ code, label: 'a key', response, hardware: asked.body.hardware },
    });
  }

  /** Signs in to the own page. */
  async openAccount(authenticator: SoftwareAuthenticator, flaws: Flaws = {}) {
    const options = await this.post('/account/options');
    return this.post('/account/login', authenticator.get(options.body, this.#ceremony, flaws));
  }

  async addPasskey(authenticator: SoftwareAuthenticator, hardware = false) {
    const asked = await this.post('/account/passkey/options', { hardware });
    if (asked.status !== 200) return asked;
    const response = authenticator.create(asked.body.options, this.#ceremony);
    return this.post('/account/passkey/add', {
      ...{ label: 'another', response, hardware: asked.body.hardware },
    });
  }
}

/** Where a browser is. */
export interface Visited {
  readonly url: URL;
  readonly page?: { readonly response: Response; readonly html: string };
}
