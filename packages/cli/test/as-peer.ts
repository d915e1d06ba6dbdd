import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { svidRequest } from '@countersign/sdk';
import { encodePem } from '@countersign/spiffe';
import { twinOf } from '../../spiffe/test/twin-certificate.ts';

/** What somebody shows in a handshake. */
export interface Shown {
  readonly chain: readonly Uint8Array[];
  readonly keyPem: string;
}

export interface PeerAnswer {
  /** 0 when the connection ended first. */
  readonly status: number;
  readonly body: string;
}

/** Where the authority of a data folder listens for its peers. */
export const controlOf = (data: string): string =>
  JSON.parse(readFileSync(join(data, 'trust.json'), 'utf8')).controlUrl;

/** One request on a connection of its own, of somebody who believes whoever answers; the head and first bytes of what does not end. */
export function askAs(
  shown: Shown,
  url: string,
  options: { readonly json?: unknown } = {},
): Promise<PeerAnswer> {
  const data = options.json === undefined ? undefined : JSON.stringify(options.json);
  return new Promise((resolve) => {
    const request = httpsRequest(url, {
      ...{ agent: false, rejectUnauthorized: false, minVersion: 'TLSv1.3' as const },
      ...{ cert: encodePem(shown.chain), key: shown.keyPem },
      method: data === undefined ? 'GET' : 'POST',
      ...(data !== undefined && { headers: { 'content-type': 'application/json' } }),
    });
    request.on('error', (error) => resolve({ status: 0, body: error.message }));
    request.on('response', (answer) => {
      const status = answer.statusCode ?? 0;
      let body = '';
      const done = () => {
        resolve({ status, body });
        request.destroy();
      };
      answer.on('data', (chunk) => {
        body += chunk;
        // A feed goes on for ever.
        if (url.endsWith('/v1/feed')) done();
      });
      for (const event of ['end', 'error']) answer.once(event, done);
    });
    request.end(data);
  });
}

/** Asks for the next SVID with this one, and gives it with its key when it came. */
export async function renewAs(
  shown: Shown,
  control: string,
): Promise<PeerAnswer & { readonly got?: Shown }> {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const request = svidRequest(keys, { trustDomain: 'bank.example', nowMs: Date.now() });
  const answer = await askAs(shown, `${control}/v1/svid`, { json: { request } });
  if (answer.status !== 200) return answer;
  const chain = (JSON.parse(answer.body).chain as string[]).map((der) =>
    Buffer.from(der, 'base64'),
  );
  const keyPem = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  return { ...answer, got: { chain, keyPem } };
}

/** The same, but that the certificate at that place of the chain has the other of its signatures. */
export function flipped(
  shown: Shown,
  at = 0,
  curve: Parameters<typeof twinOf>[1] = 'P-256',
): Shown {
  const chain = shown.chain.map((der, index) => (index === at ? twinOf(der, curve) : der));
  return { ...shown, chain };
}
