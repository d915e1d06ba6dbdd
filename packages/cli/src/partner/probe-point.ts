import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { request } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { compactId } from '@countersign/model';
import { clientTlsOptions } from '@countersign/spiffe';
import { connectPinned, hostNameOf } from './connect-pinned.ts';
import type { ProbePlace } from './probe-places.ts';

const TIMEOUT_MS = 5000;
const ANSWER_BYTES_MAX = 64 * 1024;
/** No operation has so many segments: the request reaches no resource, whoever makes it. */
const PATH = '/.well-known/countersign-probe/0/0/0/0/0/0/0/0';
const PROBLEM = 'urn:countersign:problem:';

/** What a point said to a probe. */
export interface ProbeAnswer {
  readonly status: number;
  /** Last part of the problem's type: `authentication`, `route` … */
  readonly problem: string;
  /** Of the decision in the point's log. */
  readonly eventId?: string;
}

/** Asks one listener whether the holder of a token gets in. */
export interface Prober {
  /** @throws when the listener cannot be reached, or is not the point */
  ask(): Promise<ProbeAnswer>;
}

/** A key for one probe, and the token bound to it. */
export function probeKey(): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

/** Whether the point let the caller in: what was asked for is not there, but it was looked for. */
export function isLetIn({ problem }: ProbeAnswer): boolean {
  return problem === 'route' || problem === 'method' || problem === 'scope' || problem === 'policy';
}

/** Makes a prober of one listener. */
export function createProber(
  place: ProbePlace,
  {
    token,
    key,
    authorities,
    shownCertificate,
    now,
  }: {
    readonly token: string;
    readonly key: { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
    readonly authorities: () => readonly Uint8Array[];
    /** Of what the listener shows, where that is a certificate of the bank's own. */
    readonly shownCertificate: () => Promise<string | undefined>;
    readonly now: () => number;
  },
): Prober {
  const urlOf = (host: string): string =>
    `https://${host.includes(':') ? `[${host}]` : host}:${place.port}${place.prefix}${PATH}`;
  const ath = createHash('sha256').update(token).digest('base64url');
  let nonce: string | undefined;
  const headersFor = (url: string) => ({
    authorization: `DPoP ${token}`,
    dpop: proofOf({ url, ath, nonce, key, now }),
  });
  const once = async () => {
    if (!place.hasCertificate) {
      const url = urlOf(place.host);
      const tls = clientTlsOptions({ expect: place.spiffeId, authorities: authorities(), now });
      return send(url, { ...tls, agent: false, headers: headersFor(url) });
    }
    const sha256 = await shownCertificate();
    if (sha256 === undefined) {
      throw new Error('found no word of the point on which certificate it shows, expected one');
    }
    const { socket, certificate } = await connectPinned(place, { sha256, timeoutMs: TIMEOUT_MS });
    const url = urlOf(hostNameOf(certificate) ?? place.host);
    // Only without an agent is it asked for a connection.
    return send(url, { createConnection: () => socket, headers: headersFor(url) });
  };
  return {
    async ask() {
      for (let tries = 0; ; tries++) {
        const { answer, headers } = await once();
        const asked = headers['dpop-nonce'];
        if (answer.problem !== 'authentication-nonce' || tries > 2) return answer;
        nonce = typeof asked === 'string' ? asked : undefined;
        await sleep(10);
      }
    },
  };
}

function send(
  url: string,
  options: Parameters<typeof request>[1],
): Promise<{ readonly answer: ProbeAnswer; readonly headers: Record<string, unknown> }> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { ...options, method: 'GET', timeout: TIMEOUT_MS });
    sent.on('timeout', () => sent.destroy(new Error(`found no answer within ${TIMEOUT_MS} ms`)));
    sent.on('error', reject);
    sent.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
        if (text.length > ANSWER_BYTES_MAX) sent.destroy(new Error('found an answer without end'));
      });
      response.on('error', reject);
      response.on('end', () => {
        const eventId = response.headers['countersign-event-id'];
        resolve({
          headers: response.headers,
          answer: {
            status: response.statusCode ?? 0,
            problem: problemOf(text),
            ...(typeof eventId === 'string' && { eventId }),
          },
        });
      });
    });
    sent.end();
  });
}

function problemOf(text: string): string {
  try {
    const { type } = JSON.parse(text) as { type?: unknown };
    return typeof type === 'string' && type.startsWith(PROBLEM)
      ? type.slice(PROBLEM.length)
      : 'none';
  } catch {
    return 'none';
  }
}

/** RFC 9449 §4.2. */
function proofOf(about: {
  readonly url: string;
  readonly ath: string;
  readonly nonce: string | undefined;
  readonly key: { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
  readonly now: () => number;
}): string {
  const { url: htu, ath, nonce, key, now } = about;
  const { kty, crv, x, y } = key.publicKey.export({ format: 'jwk' });
  const header = { typ: 'dpop+jwt', alg: 'ES256', jwk: { kty, crv, x, y } };
  const claims = {
    ...{ jti: compactId(), htm: 'GET', htu, iat: Math.floor(now() / 1000), ath },
    ...(nonce !== undefined && { nonce }),
  };
  const input = [header, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  const signature = sign('sha256', Buffer.from(input), {
    key: key.privateKey,
    dsaEncoding: 'ieee-p1363',
  });
  return `${input}.${signature.toString('base64url')}`;
}
