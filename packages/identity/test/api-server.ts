import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPrivateAuthority, encodePem, softwareSigner } from '@countersign/spiffe';
import { errors, generateKeyPair, jwtVerify, SignJWT } from 'jose';

/** What a pod's token says, as the kubelet asks for it; parts may be left out or forged. */
export interface TokenParts {
  readonly namespace?: string;
  readonly serviceAccount?: string;
  readonly pod?: string;
  readonly podUid?: string;
  readonly node?: string;
  readonly audience?: string;
  readonly expiresInSeconds?: number;
}

const p256 = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;

const ISSUER = 'https://kubernetes.default.svc.cluster.local';
const API_AUDIENCE = ISSUER;

/**
 * A stand-in for kube-apiserver that does one thing as it does it: `POST /apis/authentication.k8s.io/v1/tokenreviews`, for
 * whoever has the reviewer's token, over tokens that it signed itself (RS256, bound to pods, or of Secrets).
 */
export async function startApiServer({ audienceAware = true } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'api-server-'));
  const { privateKey, publicKey } = await generateKeyPair('RS256');
  const authority = await createPrivateAuthority({
    commonName: 'kubernetes',
    signer: softwareSigner(p256()),
    now: Date.now,
  });
  const keys = p256();
  const { chain } = await authority.issueServerCertificate({
    dnsNames: ['localhost'],
    publicKey: keys.publicKey,
    ttlSeconds: 3600,
  });
  const asked: { authorization: string | undefined; body: unknown }[] = [];
  let reviewer = `reviewer-${randomUUID()}`;
  let instead: Handler | undefined;

  const review = async (body: string): Promise<object> => {
    const { spec } = JSON.parse(body) as { spec: { token: string; audiences?: string[] } };
    const audiences = spec.audiences ?? [API_AUDIENCE];
    const { authenticated, ...status } = await authenticate(spec.token, audiences);
    return {
      kind: 'TokenReview',
      apiVersion: 'authentication.k8s.io/v1',
      metadata: { creationTimestamp: null },
      spec,
      status: { ...(authenticated && { authenticated }), ...status },
    };
  };
  const authenticate = async (token: string, audiences: string[]) => {
    try {
      const { payload } = await jwtVerify(token, publicKey, { issuer: ISSUER });
      const bound = payload['kubernetes.io'] as
        | Record<string, Record<string, string> | string>
        | undefined;
      // A legacy token says it flat, and is for the API server.
      const isLegacy = bound === undefined;
      const aud = isLegacy ? [API_AUDIENCE] : [payload.aud ?? []].flat();
      const common = aud.filter((each) => audiences.includes(each));
      if (common.length === 0 && audienceAware) {
        const error = `[invalid bearer token, token audiences ${JSON.stringify(aud)} is invalid for the target audiences ${JSON.stringify(audiences)}]`;
        return { authenticated: false, user: {}, error };
      }
      const pod = bound?.['pod'] as Record<string, string> | undefined;
      const node = bound?.['node'] as Record<string, string> | undefined;
      const prefix = 'authentication.kubernetes.io';
      const namespace = /^system:serviceaccount:([^:]+)/.exec(payload.sub ?? '')?.[1];
      return {
        authenticated: true,
        user: {
          username: payload.sub,
          uid: randomUUID(),
          groups: [
            'system:serviceaccounts',
            `system:serviceaccounts:${namespace}`,
            'system:authenticated',
          ],
          extra: {
            ...(payload.jti && { [`${prefix}/credential-id`]: [`JTI=${payload.jti}`] }),
            ...(node && {
              [`${prefix}/node-name`]: [node['name']],
              [`${prefix}/node-uid`]: [node['uid']],
            }),
            ...(pod && {
              [`${prefix}/pod-name`]: [pod['name']],
              [`${prefix}/pod-uid`]: [pod['uid']],
            }),
          },
        },
        ...(audienceAware && { audiences: common }),
      };
    } catch (error) {
      const why =
        error instanceof errors.JWTExpired
          ? 'service account token has expired'
          : 'invalid bearer token';
      return { authenticated: false, user: {}, error: `[invalid bearer token, ${why}]` };
    }
  };

  const server = createServer(
    { key: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }), cert: encodePem(chain) },
    async (request, response) => {
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part as Buffer);
      const body = Buffer.concat(parts).toString();
      const { authorization } = request.headers;
      asked.push({ authorization, body: body === '' ? undefined : JSON.parse(body) });
      if (instead) return instead(request, response, body);
      if (authorization !== `Bearer ${reviewer}`)
        return fail(response, 401, 'Unauthorized', 'Unauthorized');
      if (
        request.method !== 'POST' ||
        request.url !== '/apis/authentication.k8s.io/v1/tokenreviews'
      ) {
        return fail(response, 404, 'NotFound', 'the server could not find the requested resource');
      }
      answer(response, 201, await review(body));
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const caFile = join(folder, 'ca.crt');
  const tokenFile = join(folder, 'token');
  writeFileSync(caFile, encodePem([authority.certificate]));
  writeFileSync(tokenFile, `${reviewer}\n`);

  return {
    url: `https://localhost:${port}`,
    caFile,
    tokenFile,
    /** Every request that came: who asked, and what. */
    asked,
    /** Answers otherwise, or as ever. */
    answer(handler?: Handler) {
      instead = handler;
    },
    /** Takes another reviewer's token from now on, and has the kubelet write it. */
    rotateReviewer({ write = true } = {}) {
      reviewer = `reviewer-${randomUUID()}`;
      if (write) writeFileSync(tokenFile, reviewer);
    },
    /** The token of a pod, as a projected volume has it. */
    token(parts: TokenParts = {}): Promise<string> {
      const {
        namespace = 'payments',
        serviceAccount = 'api',
        pod = 'api-0',
        node = 'node-1',
      } = parts;
      const {
        podUid = randomUUID(),
        audience = 'spiffe://bank.example',
        expiresInSeconds = 3600,
      } = parts;
      const nowSeconds = Math.floor(Date.now() / 1000);
      return new SignJWT({
        'kubernetes.io': {
          namespace,
          node: { name: node, uid: randomUUID() },
          pod: { name: pod, uid: podUid },
          serviceaccount: { name: serviceAccount, uid: randomUUID() },
        },
      })
        .setProtectedHeader({ alg: 'RS256', kid: 'k1' })
        .setIssuer(ISSUER)
        .setSubject(`system:serviceaccount:${namespace}:${serviceAccount}`)
        .setAudience([audience])
        .setIssuedAt(nowSeconds)
        .setNotBefore(nowSeconds)
        .setExpirationTime(nowSeconds + expiresInSeconds)
        .setJti(randomUUID())
        .sign(privateKey);
    },
    /** Any claims, signed as the cluster signs. */
    sign: (claims: Record<string, unknown>) =>
      new SignJWT(claims)
        .setProtectedHeader({ alg: 'RS256', kid: 'k1' })
        .setIssuer(ISSUER)
        .sign(privateKey),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A `Status` of `v1`, as the API server says what is wrong. */
export function fail(
  response: ServerResponse,
  code: number,
  reason: string,
  message: string,
): void {
  answer(response, code, {
    ...{ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure' },
    ...{ message, reason, code },
  });
}

export function answer(response: ServerResponse, code: number, body: object): void {
  response.writeHead(code, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
