import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { KubernetesCluster } from '@countersign/identity';
import type { KubernetesJoin } from '@countersign/model';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { answer, fail, startApiServer } from './api-server.ts';
import {
  type Answer,
  id,
  last,
  newKey,
  post,
  registration,
  startAuthority,
  svidRequest,
  type TestAuthority,
} from './authority.ts';

const API = id('workload/payments/api');
const NODE = id('workload/nodes/node-1');
const AUDIENCE = 'spiffe://bank.example';

type ApiServer = Awaited<ReturnType<typeof startApiServer>>;
let api: ApiServer;
let old: ApiServer;
let authority: TestAuthority;
let clusters: KubernetesCluster[];

const clusterOf = (server: ApiServer, name: string): KubernetesCluster => ({
  ...{ name, server: server.url, caFile: server.caFile, tokenFile: server.tokenFile },
  audience: AUDIENCE,
});

beforeAll(async () => {
  api = await startApiServer();
  old = await startApiServer({ audienceAware: false });
  authority = await startAuthority({ clusters: () => clusters });
});
afterAll(async () => {
  await authority.close();
  await api.close();
  await old.close();
});
beforeEach(async () => {
  api.answer();
  clusters = [clusterOf(api, 'prod')];
  await apply({
    'workload/payments/api': {},
    'workload/nodes/node-1': { serviceAccount: 'node', node: 'node-1' },
  });
});

const pods = (more: Partial<KubernetesJoin>): KubernetesJoin => ({
  ...{ kind: 'kubernetes', cluster: 'prod', namespace: 'payments', serviceAccount: 'api' },
  ...more,
});

const apply = (rules: Readonly<Record<string, Partial<KubernetesJoin>>>) =>
  authority.identity.applyRegistrations(
    Object.entries(rules).map(([path, rule]) => registration(path, { joins: [pods(rule)] })),
    [],
  );

async function join(
  token: string | Promise<string>,
  { keys = newKey(), cluster }: { keys?: ReturnType<typeof newKey>; cluster?: string } = {},
): Promise<Answer> {
  const attestation = { kind: 'kubernetes', token: await token, ...(cluster && { cluster }) };
  const claims = { iat: Math.floor(authority.now() / 1000) };
  return post(authority, `${authority.controlUrl}/v1/enrol`, {
    json: { attestation, request: await svidRequest(keys, { claims }) },
  });
}

async function refused(joining: Promise<Answer>, reason: string, status = 401): Promise<string> {
  const { body } = await joining;
  const detail =
    status === 503
      ? 'the cluster could not be asked; try again'
      : 'nobody joins with this certificate or token now';
  expect(body).toMatchObject({ status, detail });
  const event = last(authority, 'authentication');
  expect(event).toMatchObject({ result: 'refused', reason, listener: 'control' });
  return event?.kind === 'authentication' ? (event.detail ?? '') : '';
}

describe('a service account token of a pod', () => {
  test('gives the SVID of whom the registration names, and the record says by what', async () => {
    const podUid = randomUUID();
    const token = await api.token({ podUid });
    const { status, body } = await join(token);
    expect([status, body.spiffeId]).toEqual([200, API]);
    expect(body.joinedBy).toBe('pod payments/api-0 of service account api in cluster prod');
    const { authorization, body: asked } = api.asked.at(-1) ?? {};
    expect(authorization).toMatch(/^Bearer reviewer-/);
    expect(asked).toEqual({
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token, audiences: [AUDIENCE] },
    });
    expect(last(authority, 'administration')).toMatchObject({
      action: 'svid-issued',
      target: API,
      detail: {
        via: 'kubernetes',
        ...{ cluster: 'prod', namespace: 'payments', serviceAccount: 'api' },
        ...{ pod: 'api-0', podUid, podNode: 'node-1' },
      },
    });
    expect(JSON.stringify(authority.events)).not.toContain(token);
  });

  test('makes a node of a pod on that node, and of no other', async () => {
    const on = (node: string) => api.token({ serviceAccount: 'node', pod: 'cs-x7k', node });
    expect((await join(on('node-1'))).body.spiffeId).toBe(NODE);
    expect(await refused(join(on('node-2')), 'join-unregistered')).toContain('on node-2');
  });

  const bad: [string, string, string, () => Promise<string> | string][] = [
    [
      'for the API server',
      'kubernetes-token-audience',
      'kubernetes.default',
      () => api.token({ audience: 'https://kubernetes.default.svc' }),
    ],
    [
      'of another namespace',
      'join-unregistered',
      'pod dev/api-0',
      () => api.token({ namespace: 'dev' }),
    ],
    [
      'of another service account',
      'join-unregistered',
      'service account batch',
      () => api.token({ serviceAccount: 'batch' }),
    ],
    [
      'that has expired',
      'kubernetes-token-unauthenticated',
      'token has expired',
      () => api.token({ expiresInSeconds: -10 }),
    ],
    [
      'of another cluster',
      'kubernetes-token-unauthenticated',
      'invalid bearer token',
      () => old.token(),
    ],
    [
      'without signature',
      'kubernetes-token-unauthenticated',
      'invalid bearer token',
      async () => `${(await api.token()).split('.').slice(0, 2).join('.')}.AAAA`,
    ],
    [
      'with another payload',
      'kubernetes-token-unauthenticated',
      'invalid bearer token',
      async () => {
        const [head, , signature] = (await api.token()).split('.');
        const [, payload] = (await api.token()).split('.');
        return `${head}.${payload}.${signature}`;
      },
    ],
    [
      'that the caller signed',
      'kubernetes-token-unauthenticated',
      'invalid bearer token',
      () =>
        new SignJWT({
          aud: AUDIENCE,
          exp: 9e9,
          sub: 'system:serviceaccount:payments:api',
          'kubernetes.io': { pod: { uid: 'u' } },
        })
          .setProtectedHeader({ alg: 'ES256' })
          .sign(newKey().privateKey),
    ],
    [
      'of a Secret, which never ends',
      'kubernetes-token-unbound',
      'without end',
      () =>
        api.sign({
          sub: 'system:serviceaccount:payments:api',
          'kubernetes.io/serviceaccount/namespace': 'payments',
          'kubernetes.io/serviceaccount/secret.name': 'api-token',
        }),
    ],
    [
      'bound to no pod',
      'kubernetes-token-unbound',
      'no pod',
      () =>
        api.sign({
          sub: 'system:serviceaccount:payments:api',
          aud: [AUDIENCE],
          exp: 9e9,
          'kubernetes.io': { namespace: 'payments' },
        }),
    ],
    ['that is none', 'kubernetes-token-malformed', 'no JWT', () => 'hello'],
    [
      'of broken JSON',
      'kubernetes-token-malformed',
      'no JSON',
      () => `e30.${Buffer.from('{').toString('base64url')}.AA`,
    ],
    [
      'of other JSON',
      'kubernetes-token-malformed',
      'sub',
      () => `e30.${Buffer.from('{"exp":1,"aud":"x"}').toString('base64url')}.AA`,
    ],
    ['of 20,000 characters', 'kubernetes-token-malformed', '20000', () => 'a'.repeat(20_000)],
    [
      'with an empty audience',
      'kubernetes-token-audience',
      '[]',
      () => api.sign({ sub: 's', aud: [], exp: 9e9, 'kubernetes.io': { pod: { uid: 'u' } } }),
    ],
  ];
  test.each(bad)('%s is refused as %s', async (_what, reason, detail, make) => {
    expect(await refused(join(make()), reason)).toContain(detail);
  });

  test('is not even sent to the cluster when it could not be taken', async () => {
    const before = api.asked.length;
    await refused(join(api.sign({ sub: 's' })), 'kubernetes-token-unbound');
    await refused(join(api.token({ audience: 'vault' })), 'kubernetes-token-audience');
    expect(api.asked.length).toBe(before);
  });

  test('that a server takes which knows no audiences is refused', async () => {
    clusters = [clusterOf(old, 'prod')];
    expect(await refused(join(old.token()), 'kubernetes-token-audience')).toContain('[]');
  });

  test('goes to its own cluster only, and to none that is not named', async () => {
    clusters = [clusterOf(api, 'prod'), clusterOf(old, 'test')];
    const before = old.asked.length;
    expect((await join(api.token(), { cluster: 'prod' })).status).toBe(200);
    await refused(join(api.token()), 'kubernetes-cluster-unknown');
    await refused(join(api.token(), { cluster: 'dev' }), 'kubernetes-cluster-unknown');
    expect(old.asked.length).toBe(before);
    clusters = [];
    await refused(join(api.token()), 'kubernetes-cluster-unknown');
  });

  test('is nobody where two registrations fit', async () => {
    await apply({ 'workload/payments/api': {}, 'workload/other': { pod: 'api-0' } });
    expect(await refused(join(api.token()), 'join-ambiguous')).toContain(API);
    expect((await join(api.token({ pod: 'api-1' }))).status).toBe(200);
  });
});

describe('a pod', () => {
  test('joins once: a copy of its token is refused with an alarm while its SVID is alive', async () => {
    const podUid = randomUUID();
    const keys = newKey();
    expect((await join(api.token({ podUid }), { keys })).status).toBe(200);
    // The answer was lost: the same key asks again.
    expect((await join(api.token({ podUid }), { keys })).status).toBe(200);
    await refused(join(api.token({ podUid })), 'join-credential-in-use');
    expect(last(authority, 'alarm')).toMatchObject({
      alarm: 'join-credential-reused',
      detail: expect.stringContaining(podUid),
    });
    authority.advance(121_000);
    expect((await join(api.token({ podUid }))).status).toBe(200);
    authority.advance(-121_000);
  });

  test('beside others of its service account is the same subject, each for itself', async () => {
    const answers = await Promise.all([1, 2, 3].map((n) => join(api.token({ pod: `api-${n}` }))));
    expect(answers.map(({ status, body }) => [status, body.spiffeId])).toEqual(
      answers.map(() => [200, API]),
    );
  });
});

describe('an API server', () => {
  test('whose own token is replaced is asked with the new one', async () => {
    api.rotateReviewer();
    expect((await join(api.token())).status).toBe(200);
    api.rotateReviewer({ write: false });
    const detail = await refused(join(api.token()), 'kubernetes-unavailable', 503);
    expect(detail).toContain('prod: found status 401 Unauthorized: Unauthorized');
    api.rotateReviewer();
  });

  const user = (more: object = {}, podUid = 'u') => ({
    username: 'system:serviceaccount:payments:api',
    extra: {
      'authentication.kubernetes.io/pod-name': ['api-0'],
      'authentication.kubernetes.io/pod-uid': [podUid],
    },
    ...more,
  });
  const reviewed = (status: object) => ({
    ...{ kind: 'TokenReview', apiVersion: 'authentication.k8s.io/v1', metadata: {} },
    ...{ spec: {}, status },
  });
  const yes = { authenticated: true, audiences: [AUDIENCE] };
  const odd: [string, string, string, Parameters<ApiServer['answer']>[0]][] = [
    [
      'forbids reviews',
      'kubernetes-unavailable',
      'Forbidden: tokenreviews',
      (_, to) =>
        fail(
          to,
          403,
          'Forbidden',
          'tokenreviews.authentication.k8s.io is forbidden: User "x" cannot create resource "tokenreviews"',
        ),
    ],
    [
      'is overloaded',
      'kubernetes-unavailable',
      'TooManyRequests',
      (_, to) => fail(to, 429, 'TooManyRequests', 'too many requests, please try again later.'),
    ],
    [
      'breaks',
      'kubernetes-unavailable',
      'InternalError',
      (_, to) =>
        fail(to, 500, 'InternalError', 'Internal error occurred: etcdserver: request timed out'),
    ],
    ['answers no JSON', 'kubernetes-unavailable', 'no TokenReview', (_, to) => to.end('<html>')],
    [
      'answers another kind',
      'kubernetes-unavailable',
      'no TokenReview',
      (_, to) => answer(to, 201, { ...reviewed(yes), kind: 'SubjectAccessReview' }),
    ],
    [
      'answers authenticated as text',
      'kubernetes-unavailable',
      'no TokenReview',
      (_, to) => answer(to, 201, reviewed({ ...yes, authenticated: 'true', user: user() })),
    ],
    [
      'answers without status',
      'kubernetes-unavailable',
      'no TokenReview',
      (_, to) => answer(to, 201, { kind: 'TokenReview', apiVersion: 'authentication.k8s.io/v1' }),
    ],
    [
      'answers a Status with 200',
      'kubernetes-unavailable',
      'no TokenReview',
      (_, to) => fail(to, 200, 'x', 'y'),
    ],
    [
      'answers a megabyte',
      'kubernetes-unavailable',
      'prod:',
      (_, to) => answer(to, 201, reviewed({ ...yes, error: 'x'.repeat(1_000_000) })),
    ],
    ['hangs up', 'kubernetes-unavailable', 'prod:', (from) => from.socket.destroy()],
    [
      'knows no user',
      'kubernetes-unavailable',
      'without a name',
      (_, to) => answer(to, 201, reviewed(yes)),
    ],
    [
      'says yes and an error',
      'kubernetes-token-unauthenticated',
      'odd',
      (_, to) => answer(to, 201, reviewed({ ...yes, error: 'odd', user: user() })),
    ],
    [
      'says nothing',
      'kubernetes-token-unauthenticated',
      'does not know it',
      (_, to) => answer(to, 201, reviewed({})),
    ],
    [
      'took it for another audience',
      'kubernetes-token-audience',
      'vault',
      (_, to) => answer(to, 201, reviewed({ ...yes, audiences: ['vault'], user: user() })),
    ],
    [
      'knows a person',
      'join-unregistered',
      "user 'alice'",
      (_, to) => answer(to, 201, reviewed({ ...yes, user: user({ username: 'alice' }) })),
    ],
    [
      'knows a node',
      'join-unregistered',
      'system:node:node-1',
      (_, to) =>
        answer(to, 201, reviewed({ ...yes, user: user({ username: 'system:node:node-1' }) })),
    ],
    [
      'knows no pod',
      'kubernetes-token-unbound',
      'no pod',
      (_, to) => answer(to, 201, reviewed({ ...yes, user: user({ extra: {} }) })),
    ],
    [
      'knows two pods',
      'kubernetes-token-unbound',
      'no pod',
      (_, to) =>
        answer(
          to,
          201,
          reviewed({
            ...yes,
            user: user({
              extra: {
                'authentication.kubernetes.io/pod-name': ['a', 'b'],
                'authentication.kubernetes.io/pod-uid': ['u'],
              },
            }),
          }),
        ),
    ],
    [
      'knows another pod than the token says',
      'kubernetes-token-unauthenticated',
      'of pod u,',
      (_, to) => answer(to, 201, reviewed({ ...yes, user: user() })),
    ],
  ];
  test.each(odd)('that %s lets nobody in: %s', async (_what, reason, detail, handler) => {
    api.answer(handler);
    const status = reason === 'kubernetes-unavailable' ? 503 : 401;
    expect(await refused(join(api.token()), reason, status)).toContain(detail);
  });

  test('that sends elsewhere is not followed: neither token leaves', async () => {
    const asked: string[] = [];
    const elsewhere: Server = createServer((request, response) => {
      asked.push(request.url ?? '');
      response.end();
    });
    await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
    const { port } = elsewhere.address() as AddressInfo;
    api.answer((_, response) => {
      response.writeHead(307, { location: `http://127.0.0.1:${port}/apis` });
      response.end();
    });
    const detail = await refused(join(api.token()), 'kubernetes-unavailable', 503);
    expect(detail).toContain('found status 307');
    expect(asked).toEqual([]);
    elsewhere.close();
  });

  test('that is away is said to be, with the cluster', async () => {
    const gone = await startApiServer();
    clusters = [clusterOf(gone, 'prod')];
    const token = await gone.token();
    await gone.close();
    // Its files are gone with it: put them elsewhere.
    clusters = [{ ...clusterOf(api, 'prod'), server: gone.url }];
    const detail = await refused(join(token), 'kubernetes-unavailable', 503);
    expect(detail).toContain('prod: connect ECONNREFUSED');
    clusters = [{ ...clusterOf(api, 'prod'), tokenFile: '/nowhere/token' }];
    expect(await refused(join(api.token()), 'kubernetes-unavailable', 503)).toContain('ENOENT');
  });

  test('with a certificate of another authority is not told the tokens', async () => {
    const before = api.asked.length;
    clusters = [{ ...clusterOf(api, 'prod'), caFile: old.caFile }];
    await refused(join(api.token()), 'kubernetes-unavailable', 503);
    expect(api.asked.length).toBe(before);
  });

  test('that does not answer is waited for within its bound, and keeps no other way waiting', async () => {
    const released: (() => void)[] = [];
    api.answer((_, response) => void released.push(() => response.end()));
    const slow = join(api.token());
    await expect.poll(() => released.length).toBe(1);
    const made = await authority.identity.createJoinToken({ spiffeId: API, by: 'test' });
    const { status } = await post(authority, `${authority.controlUrl}/v1/enrol`, {
      json: { joinToken: made.isGranted ? made.joinToken : '', request: await svidRequest() },
    });
    // The other way was served while the slow one still waited.
    expect(status).toBe(200);
    expect(last(authority, 'administration')).toMatchObject({ detail: { via: 'join-token' } });
    expect(await refused(slow, 'kubernetes-unavailable', 503)).toContain(
      'no answer within 5000 ms',
    );
    for (const release of released) release();
  }, 40_000);

  test('is asked eight tokens at once; thirty-two wait, and more are turned away', async () => {
    const released: (() => void)[] = [];
    api.answer((_, response) => void released.push(() => fail(response, 500, 'x', 'y')));
    const tokens = await Promise.all(Array.from({ length: 41 }, () => api.token()));
    const joining = tokens.map((token) => join(token));
    await expect.poll(() => released.length).toBe(8);
    const turnedAway = await Promise.race(joining);
    expect(turnedAway.status).toBe(503);
    expect(last(authority, 'authentication')).toMatchObject({
      detail: expect.stringContaining('32 reviews waiting'),
    });
    api.answer((_, response) => fail(response, 500, 'x', 'y'));
    for (const release of released) release();
    const statuses = (await Promise.all(joining)).map(({ status }) => status);
    expect(statuses).toEqual(statuses.map(() => 503));
    api.answer();
    expect((await join(api.token())).status).toBe(200);
  }, 40_000);
});
