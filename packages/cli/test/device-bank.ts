import { createHash, generateKeyPairSync, randomUUID, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type RequestOptions, request } from 'node:https';
import { join } from 'node:path';
import { createPrivateAuthority, encodePem, softwareSigner } from '@countersign/spiffe';
import { freePort } from '@countersign/test-support/free-port';
import { SignJWT } from 'jose';
import { stolenTokenKey } from '../../identity/test/stolen-authority.ts';
import { countersign, type Ran, temporaryFolder } from './test-io.ts';

const AUDIENCE = 'https://api.bank.example/accounts';
export const WEBHOOK_SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

/** An answer, and the problem that it may be. */
export interface Answer {
  readonly status: number;
  readonly body: string;
}

const CONFIG = (webhooks: number) => `  accessTokenTtl: 5m
  devices:
    certificateTtl: 10m
    posture:
      maxAge: 1h
      signals: { diskEncrypted: { assurance: managed } }
      sources:
        - { name: fleet, format: fleet, assurance: managed, checks: { 'Firewall is on': firewallOn } }
        - { name: mdm, format: countersign, assurance: managed, secretFile: ../mdm.whsec }
    webhooks: { address: 127.0.0.1:${webhooks} }
`;

const POLICY = `@id("from-encrypted-devices")
permit (principal is Human, action == Accounts::Action::"ListAccounts", resource)
when { context has device && context.device.posture.diskEncrypted == "true" };
`;

/**
 * An authority and the gateway `edge` in this process, before an API that answers with a stream; people may list accounts from devices
 * whose disk is encrypted. Their tokens are signed with the issuer's own key, as the issuer would.
 */
export async function startDeviceBank() {
  const folder = await temporaryFolder();
  const bank = join(folder.path, 'bank');
  const data = join(folder.path, 'data');
  await countersign(['init', bank]);
  const [control, issuer, edge, webhooks] = await Promise.all(Array.from({ length: 4 }, freePort));
  const api = createServer((_, answer) => {
    answer.writeHead(200, { 'content-type': 'text/event-stream' });
    answer.write('data: 1\n\n');
  });
  await once(api.listen(0, '127.0.0.1'), 'listening');
  await mkdir(join(bank, 'trust'));
  const partners = await createPrivateAuthority({
    commonName: 'Partners',
    signer: softwareSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' })),
    now: Date.now,
  });
  await writeFile(join(bank, 'trust/partner-ca.pem'), encodePem([partners.certificate]));
  await writeFile(join(folder.path, 'mdm.whsec'), `${WEBHOOK_SECRET}\n`, { mode: 0o600 });
  const edit = async (file: string, pairs: readonly [string | RegExp, string][]) => {
    let text = await readFile(join(bank, file), 'utf8');
    for (const [from, to] of pairs) text = text.replace(from, to);
    await writeFile(join(bank, file), text);
  };
  await edit('countersign.yaml', [
    ['7401', `${control}`],
    [/7402/g, `${issuer}`],
    ['8443', `${edge}`],
    ['# clientAuthorities', 'clientAuthorities'],
    ['  accessTokenTtl: 5m\n', CONFIG(Number(webhooks))],
  ]);
  await edit('surfaces/accounts.yaml', [
    ['9001', `${(api.address() as { port: number }).port}`],
    ['mode: shadow', 'mode: enforce'],
  ]);
  await edit('policies/accounts.cedar', [[/^/, POLICY]]);
  await edit('identities/workloads.yaml', [
    [
      /$/,
      '\n- { id: human/alice, owner: hr@bank.example }\n- { id: human/bob, owner: hr@bank.example }\n',
    ],
  ]);
  const stop = new AbortController();
  let running: Promise<Ran> | undefined;
  await new Promise<void>((resolve, reject) => {
    running = countersign(['start', '-C', bank, '-d', data], {
      isTerminal: true,
      stop: stop.signal,
      onOut: (text) => void (text.includes('ready;') && resolve()),
    });
    void running.then(({ err, out }) => reject(new Error(err + out)));
  });
  const ca = await readFile(join(data, 'trust.pem'), 'utf8');
  const issuerKey = await stolenTokenKey(data);
  const device = join(folder.path, 'laptop');

  async function files() {
    const [cert, key] = await Promise.all(
      ['certificate.pem', 'key.pem'].map((name) => readFile(join(device, name), 'utf8')),
    );
    return { cert: cert ?? '', key: key ?? '' };
  }

  async function token(person: string, cnf: object): Promise<string> {
    const { kid, privateKey } = issuerKey;
    return new SignJWT({ client_id: 'app', scope: 'accounts', sid: `session-of-${person}`, cnf })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid })
      .setIssuer(`https://localhost:${issuer}`)
      .setSubject(`spiffe://bank.example/human/${person}`)
      .setAudience(AUDIENCE)
      .setJti(randomUUID())
      .setIssuedAt()
      .setExpirationTime('4m')
      .sign(privateKey);
  }

  /** A request to the API over the certificate of the laptop; the answer's first bytes, and when it ends. */
  async function call(person: string): Promise<Answer & { readonly ended: Promise<void> }> {
    const { cert, key } = await files();
    const x5t = createHash('sha256').update(new X509Certificate(cert).raw).digest('base64url');
    const authorization = `Bearer ${await token(person, { 'x5t#S256': x5t })}`;
    return ask({
      port: edge as number,
      path: '/accounts-api/accounts',
      cert,
      key,
      headers: { authorization },
    });
  }

  function ask(options: RequestOptions, body?: string) {
    return new Promise<Answer & { readonly ended: Promise<void> }>((resolve, reject) => {
      const asking = request(
        { host: 'localhost', family: 4, ca, agent: false, ...options },
        (answer) => {
          const ended = new Promise<void>((end) => answer.once('close', end));
          answer.on('error', () => {});
          const status = answer.statusCode ?? 0;
          answer.once('data', (chunk: Buffer) =>
            resolve({ status, body: chunk.toString(), ended }),
          );
          answer.once('end', () => resolve({ status, body: '', ended }));
        },
      );
      asking.on('error', reject);
      asking.end(body);
    });
  }

  return {
    ...{ folder: folder.path, bank, data, device, ca, files, call, token, ask },
    ports: { control: Number(control), edge: Number(edge), webhooks: Number(webhooks) },
    onData: (...words: readonly string[]) => countersign([...words, '-d', data]),
    /** Commands that run on the laptop. */
    onLaptop: (words: readonly string[], options: Parameters<typeof countersign>[1] = {}) =>
      countersign([...words, '--out', device, '--trust', join(data, 'trust.json')], options),
    edit,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
      api.closeAllConnections();
      api.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}
