import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { request } from 'node:https';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { freePort } from '@countersign/test-support/free-port';
import { Agent, fetch as undiciFetch } from 'undici';
import { Browser } from '../../identity/test/login/browser.ts';
import { SoftwareAuthenticator } from '../../identity/test/login/software-authenticator.ts';
import { type HeldRelay, startHeldRelay } from './held-relay.ts';
import { countersign, type Ran, temporaryFolder } from './test-io.ts';
import { webCa } from './web-ca.ts';

const GUIDE = readFileSync(
  new URL('../../../docs/operate/web-applications.md', import.meta.url),
  'utf8',
);

/** A file that the guide shows. */
export function block(file: string): string {
  const [, text] =
    new RegExp(`^\`\`\`\\w+ file=${file.replaceAll('.', '\\.')}\\n([\\s\\S]*?)^\`\`\``, 'm').exec(
      GUIDE,
    ) ?? [];
  if (text === undefined) throw new Error(`the guide shows no ${file}`);
  return text;
}

export const HOST = 'ops.localhost';
export const ALICE = 'spiffe://bank.example/human/alice';
export const BOB = 'spiffe://bank.example/human/bob';

/** What the legacy application saw. */
export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** An answer to a browser. */
export interface WebAnswer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

export type WebBank = Awaited<ReturnType<typeof startWebBank>>;

/** An authority and a gateway with a listener for browsers, in this process, before an application that knows nothing of it: as the guide sets them up. */
export async function startWebBank({
  accessTokenTtl = '5m',
  mode = 'enforce',
  edit: editMore = async () => undefined,
  hasCertificates = false,
  hasRelay = false,
}: {
  readonly accessTokenTtl?: string;
  readonly mode?: 'enforce' | 'shadow';
  readonly edit?: (
    edit: (file: string, pairs: readonly (readonly [string | RegExp, string])[]) => Promise<void>,
  ) => Promise<unknown>;
  /** Issuer and listener show certificates of a CA of the bank's, as browsers need them. */
  readonly hasCertificates?: boolean;
  /** Whether all that is asked of the issuer goes by a wire that a test may hold. */
  readonly hasRelay?: boolean;
} = {}) {
  const folder = await temporaryFolder();
  const bank = join(folder.path, 'bank');
  const data = join(folder.path, 'data');
  const seen: Seen[] = [];
  const sockets = new Set<Duplex>();
  const app = legacyApplication(seen, sockets);
  await once(app.listen(0, '127.0.0.1'), 'listening');
  const [control, issuer, edge, web] = await Promise.all([1, 2, 3, 4].map(freePort));
  const relay = hasRelay ? await startHeldRelay(() => issuer as number) : undefined;
  const issuerPort = relay?.port ?? issuer;
  await countersign(['init', bank]);
  const edit = async (file: string, pairs: readonly (readonly [string | RegExp, string])[]) => {
    let text = await readFile(join(bank, file), 'utf8').catch(() => '');
    for (const [from, to] of pairs) {
      if (text.search(from) < 0) throw new Error(`found no ${from} in ${file}`);
      text = text.replace(from, to);
    }
    await writeFile(join(bank, file), text);
  };
  const origin = `https://${HOST}:${web}`;
  const listener = block('countersign.yaml')
    .replace('0.0.0.0:443', `127.0.0.1:${web}`)
    .replace(/^ +(?:certificateFile|keyFile):.*\n/gm, (line) =>
      hasCertificates ? line.replace('/run/secrets', folder.path) : '',
    )
    .replace('https://ops.bank.example', origin);
  const ownCa = hasCertificates ? webCa(folder.path) : undefined;
  if (ownCa) {
    for (const [name, host] of [
      ['ops', HOST],
      ['issuer', 'localhost'],
    ] as const) {
      const { chainPem, keyPem } = ownCa.issue([host]);
      await writeFile(join(folder.path, `${name}.pem`), chainPem);
      await writeFile(join(folder.path, `${name}.key`), keyPem, { mode: 0o600 });
    }
    await mkdir(join(bank, 'trust'), { recursive: true });
    await writeFile(join(bank, 'trust/web-ca.pem'), ownCa.rootPem);
    await edit('countersign.yaml', [
      [
        '  svidTtl:',
        `  issuerCertificateFile: ../issuer.pem\n  issuerKeyFile: ../issuer.key\n  issuerAuthorities: [trust/web-ca.pem]\n  svidTtl:`,
      ],
    ]);
  }
  await edit('countersign.yaml', [
    ['7401', `${control}`],
    ['127.0.0.1:7402', `127.0.0.1:${issuer}`],
    [/7402/g, `${issuerPort}`],
    ['8443', `${edge}`],
    ['accessTokenTtl: 5m', `accessTokenTtl: ${accessTokenTtl}\n  login: { name: Example Bank }`],
    [/$/, listener],
  ]);
  await writeFile(
    join(bank, 'surfaces/console.yaml'),
    block('surfaces/console.yaml')
      .replace('127.0.0.1:9100', `127.0.0.1:${(app.address() as { port: number }).port}`)
      .replace('mode: enforce', `mode: ${mode}`),
  );
  for (const file of ['policies/console.cedar', 'policies/tests/console.yaml']) {
    await writeFile(join(bank, file), block(file));
  }
  await edit('identities/workloads.yaml', [
    [
      /$/,
      '\n- { id: human/alice, owner: hr@bank.example }\n- { id: human/bob, owner: hr@bank.example }\n',
    ],
  ]);
  await editMore(edit);
  const checked = await countersign(['check', '-C', bank]);
  if (checked.code !== 0) throw new Error(checked.out + checked.err);

  const stop = new AbortController();
  let stopEdge = new AbortController();
  const authority = await started(['authority', '-C', bank, '-d', data], { stop: stop.signal });
  const { out: joinToken } = await countersign([
    ...['join-token', 'workload/countersign/edge', '-d', data],
  ]);
  await writeFile(join(folder.path, 'token'), joinToken);
  const edgeData = join(folder.path, 'edge');
  const startEdge = () =>
    started(
      [
        ...['gateway', 'edge', '-d', edgeData, '--trust', join(data, 'trust.json')],
        ...['--join-token-file', join(folder.path, 'token')],
      ],
      { stop: stopEdge.signal },
    );
  let gateway = await startEdge();
  const ca = ownCa?.rootPem ?? (await readFile(join(data, 'trust.pem'), 'utf8'));
  const agent = new Agent({ connect: { ca } });
  const fetchIt = ((url: string | URL, init: object) =>
    undiciFetch(url, { ...init, dispatcher: agent } as never)) as unknown as typeof fetch;
  const issuerUrl = `https://localhost:${issuerPort}`;

  const onData = (...words: readonly string[]) => countersign([...words, '-d', data]);
  return {
    ...{ origin, port: web as number, issuerUrl, ca, data, bank, seen, sockets, checked },
    folder: folder.path,
    relay: relay as HeldRelay,
    ...{ fetch: fetchIt, onData, edit },
    /** Stops the gateway and starts it again. */
    async restartEdge(): Promise<void> {
      stopEdge.abort();
      await gateway.ended;
      stopEdge = new AbortController();
      gateway = await startEdge();
    },
    async stopAuthority(): Promise<void> {
      stop.abort();
      await authority.ended;
    },
    /** A person's passkey, registered by a code. */
    async enrol(person: string): Promise<SoftwareAuthenticator> {
      const { code, out, err } = await onData('passkey', 'invite', person, '--json');
      if (code !== 0) throw new Error(err);
      const authenticator = new SoftwareAuthenticator();
      const done = await new Browser(issuerUrl, fetchIt).enrol(JSON.parse(out).code, authenticator);
      if (done.status !== 201) throw new Error(`not enrolled: ${done.status}`);
      return authenticator;
    },
    browser: () => new WebBrowser({ origin, port: web as number, ca, issuerUrl, fetch: fetchIt }),
    /** The point's and the authority's events, the newest last. */
    async events(kind: string) {
      const { out } = await onData('events', '--kind', kind, '--json');
      return out
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line));
    },
    async [Symbol.asyncDispose]() {
      stopEdge.abort();
      await gateway.ended;
      stop.abort();
      await authority.ended;
      await agent.destroy();
      relay?.close();
      app.closeAllConnections();
      for (const socket of sockets) socket.destroy();
      app.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** Resolves when the process is ready; its end is in the object, which no `await` unpacks. */
async function started(
  words: readonly string[],
  options: { readonly stop: AbortSignal },
): Promise<{ readonly ended: Promise<Ran> }> {
  let running: Promise<Ran> | undefined;
  await new Promise<void>((resolve, reject) => {
    running = countersign(words, {
      ...options,
      onOut: (text) => text.includes('"ready":true') && resolve(),
    });
    void running.then(({ err }) => reject(new Error(err)));
  });
  return { ended: running as Promise<Ran> };
}

/** Sets a cookie of its own, shows who asks, echoes forms, streams, and speaks WebSocket; nothing in it knows of Countersign. */
function legacyApplication(seen: Seen[], sockets: Set<Duplex>): Server {
  const server = createServer(async (incoming, answer) => {
    const body = Buffer.concat(await incoming.toArray()).toString();
    const { method = '', url = '', headers } = incoming;
    seen.push({ method, url, headers, body });
    if (url === '/stream') {
      answer.writeHead(200, { 'content-type': 'text/event-stream' });
      answer.write('data: 1\n\n');
      return;
    }
    answer.setHeader('set-cookie', [
      'legacy=1; Path=/',
      // What an application that is taken over would try.
      '__Host-countersign.edge=stolen; Path=/; Secure',
      '__hOsT-countersign.edge=stolen; Path=/; Secure',
    ]);
    answer.setHeader('content-type', 'text/html');
    answer.setHeader('strict-transport-security', 'max-age=0');
    answer.end(`<h1>Console</h1><p id="who">${headers['remote-user'] ?? headers['x-employee']}</p>
<form method="post" action="/tickets/7"><input name="text" value="done"><button id="send">Send</button></form>
<pre id="sent">${method} ${body}</pre>`);
  });
  server.on('upgrade', (incoming, socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
    const { method = '', url = '', headers } = incoming;
    seen.push({ method, url, headers, body: '' });
    const accept = createHash('sha1')
      .update(`${headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest('base64');
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    socket.write(Buffer.concat([Buffer.from([0x81, 5]), Buffer.from('hello')]));
  });
  return server;
}

interface Place {
  readonly origin: string;
  readonly port: number;
  readonly ca: string;
  readonly issuerUrl: string;
  readonly fetch: typeof fetch;
}

/** A browser with cookies of the application and of the issuer, each apart. */
export class WebBrowser {
  /** A certificate that it shows: of an enrolled device. */
  certificate: { readonly cert: string; readonly key: string } | undefined;
  readonly cookies = new Map<string, string>();
  readonly issuer: Browser;
  readonly #place: Place;

  constructor(place: Place) {
    this.#place = place;
    this.issuer = new Browser(place.issuerUrl, place.fetch);
  }

  get cookie(): string {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  /** One request; headers are added as they are, and cookies are kept. */
  ask(
    path: string,
    {
      method = 'GET',
      headers = {},
      body,
      localAddress,
    }: {
      readonly method?: string;
      readonly headers?: Readonly<Record<string, string | string[]>>;
      readonly body?: string;
      /** Another address of this machine: as if from elsewhere. */
      readonly localAddress?: string;
    } = {},
  ): Promise<WebAnswer> {
    const { port, ca } = this.#place;
    const { cookie } = this;
    return new Promise((resolve, reject) => {
      const asking = request(
        {
          ...{ host: '127.0.0.1', port, servername: HOST, ca, agent: false, method, path },
          ...this.certificate,
          ...(localAddress !== undefined && { localAddress }),
          headers: { host: `${HOST}:${port}`, ...(cookie && { cookie }), ...headers },
        },
        async (answer) => {
          this.#keep(answer.headers['set-cookie'] ?? []);
          const text = Buffer.concat(await answer.toArray().catch(() => [])).toString();
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text });
        },
      );
      asking.on('error', reject);
      asking.end(body);
    });
  }

  /** Opens a page in a tab. */
  navigate(path: string): Promise<WebAnswer> {
    return this.ask(path, { headers: NAVIGATION });
  }

  /** A script of the application's own page. */
  script(path: string, method = 'GET', body?: string): Promise<WebAnswer> {
    return this.ask(path, {
      method,
      headers: { 'sec-fetch-mode': 'cors', 'sec-fetch-site': 'same-origin', accept: '*/*' },
      ...(body !== undefined && { body }),
    });
  }

  /** A form of the application's own page. */
  form(
    path: string,
    body: string,
    more: Readonly<Record<string, string>> = {},
  ): Promise<WebAnswer> {
    return this.ask(path, {
      method: 'POST',
      headers: {
        ...NAVIGATION,
        'sec-fetch-site': 'same-origin',
        origin: this.#place.origin,
        'content-type': 'application/x-www-form-urlencoded',
        'content-length': String(Buffer.byteLength(body)),
        ...more,
      },
      body,
    });
  }

  /** From a page that asks to sign in to the page that was wanted, which is given. */
  async open(path: string, authenticator: SoftwareAuthenticator): Promise<WebAnswer> {
    const sent = await this.navigate(path);
    if (sent.status !== 303) return sent;
    const callback = await this.issuer.signIn(
      new URL(String(sent.headers.location)),
      authenticator,
    );
    return this.follow(await this.navigate(callback.pathname + callback.search));
  }

  /** Follows within the application, and through the issuer while nobody is asked for anything there. */
  async follow(answer: WebAnswer): Promise<WebAnswer> {
    let next = answer;
    for (let hops = 0; next.status === 303 && hops < 10; hops += 1) {
      const url = new URL(String(next.headers.location));
      if (url.origin !== this.#place.origin) {
        const visited = await this.issuer.go(url);
        if (visited.page) throw new Error('the issuer asks for a passkey');
        next = await this.navigate(visited.url.pathname + visited.url.search);
      } else next = await this.navigate(url.pathname + url.search);
    }
    return next;
  }

  /** A WebSocket: the status, and when open a promise of its end. */
  socket(
    path: string,
    headers: Readonly<Record<string, string>>,
  ): Promise<{ readonly status: number; readonly closed: Promise<void>; end(): void }> {
    const { port, ca } = this.#place;
    return new Promise((resolve, reject) => {
      const asking = request({
        ...{ host: '127.0.0.1', port, servername: HOST, ca, agent: false, path },
        headers: {
          host: `${HOST}:${port}`,
          cookie: this.cookie,
          connection: 'Upgrade',
          upgrade: 'websocket',
          'sec-websocket-version': '13',
          'sec-websocket-key': Buffer.alloc(16, 7).toString('base64'),
          ...headers,
        },
      });
      asking.on('upgrade', (_answer, socket) => {
        socket.on('error', () => {});
        socket.resume();
        const closed = new Promise<void>((end) => socket.once('close', () => end()));
        resolve({ status: 101, closed, end: () => socket.destroy() });
      });
      asking.on('response', (answer) => {
        answer.resume();
        resolve({ status: answer.statusCode ?? 0, closed: Promise.resolve(), end: () => {} });
      });
      asking.on('error', reject);
      asking.end();
    });
  }

  #keep(lines: readonly string[]): void {
    for (const line of lines) {
      const [pair = '', ...attributes] = line.split('; ');
      const at = pair.indexOf('=');
      const [name, value] = [pair.slice(0, at), pair.slice(at + 1)];
      // As browsers do (RFC 6265bis §5.7): the prefix is a promise that they hold the server to.
      const flat = attributes.map((each) => each.toLowerCase());
      if (/^__host-/i.test(name) && !(flat.includes('secure') && flat.includes('path=/'))) continue;
      if (flat.includes('max-age=0') || value === '') this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
  }
}

export const NAVIGATION = {
  'sec-fetch-mode': 'navigate',
  'sec-fetch-dest': 'document',
  'sec-fetch-site': 'none',
  accept: 'text/html,*/*;q=0.8',
} as const;
