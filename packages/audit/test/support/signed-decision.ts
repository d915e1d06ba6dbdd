import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { type AdministrationEvent, type DecisionEvent, EVENT_VERSION } from '@countersign/model';
import { keyThumbprint, publicJwk, readSignedRequest, signRequest } from '@countersign/sdk';
import { createX509Authority, parseSpiffeId, softwareSigner } from '@countersign/spiffe';

export const AT = Date.now();
export const TOKEN = 'e30.e30.c2ln';
export const BODY = '{"amount":"5.00"}';
export const CALLER = 'spiffe://bank.example/workload/payments/api';
const URL = 'https://api.bank.example/payments?trace=1';
const TOKEN_HASH = createHash('sha256').update(TOKEN).digest('base64url');

/** A decision on a request that was really signed, as an enforcement point records it. */
export async function signedDecision({
  url = URL,
  route = '/payments',
  keyFrom = 'svid' as 'svid' | 'dpop',
  tag = 'countersign-request' as 'countersign-request' | 'fapi-2-request',
} = {}): Promise<DecisionEvent & { readonly signature: NonNullable<DecisionEvent['signature']> }> {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const headers: Record<string, string> = {
    authorization: `${keyFrom === 'dpop' ? 'DPoP' : 'Bearer'} ${TOKEN}`,
    ...(keyFrom === 'dpop' && { dpop: proofOf(keys, url) }),
  };
  const added = signRequest(
    { method: 'POST', url, headers, body: BODY },
    { key: keys.privateKey, now: () => AT, tag },
  );
  const signed = readSignedRequest(
    {
      kind: 'request',
      method: 'POST',
      targetUri: url,
      fields: Object.entries({ ...headers, ...added }).flat(),
    },
    { nowMs: AT, skewMs: 0, hasContent: true, isProofVerified: keyFrom === 'dpop' },
  );
  if (signed.kind === 'unfit') throw new Error(signed.detail);
  return {
    v: EVENT_VERSION,
    id: 'event-1',
    at: AT,
    origin: 'bank.example/edge',
    seq: 0,
    kind: 'decision',
    effect: 'permit',
    enforced: true,
    reason: 'policy-permits',
    policyVersion: 'p',
    factSequence: 1,
    method: 'POST',
    route,
    subject: CALLER,
    tokenHash: TOKEN_HASH,
    evidence: 'E2',
    signature: {
      input: signed.input,
      value: Buffer.from(signed.signature).toString('base64'),
      algorithm: 'ecdsa-p256-sha256',
      base: signed.recordable,
      ...(signed.withheld.length > 0 && {
        withheld: signed.withheld.map(({ field, sha256 }) => ({ field, sha256 })),
      }),
      key: publicJwk(keys.publicKey),
      keyThumbprint: keyThumbprint(keys.publicKey),
      keyFrom,
      ...(keyFrom === 'svid' && { certificate: await certificateOf(keys.publicKey) }),
    },
  };
}

/** The authority's event about the certificate that signed a decision. */
export function issued(
  { signature }: DecisionEvent,
  change: Partial<AdministrationEvent> = {},
): AdministrationEvent {
  const der = Buffer.from(signature?.certificate ?? '', 'base64');
  return {
    v: EVENT_VERSION,
    id: 'event-0',
    at: AT - 1000,
    origin: 'bank.example/authority',
    seq: 0,
    kind: 'administration',
    action: 'svid-issued',
    by: CALLER,
    target: CALLER,
    detail: {
      thumbprint: createHash('sha256').update(der).digest('base64url'),
      notAfterMs: AT + 60_000,
    },
    ...change,
  };
}

function proofOf(
  { publicKey, privateKey }: { publicKey: KeyObject; privateKey: KeyObject },
  url: string,
): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const input = `${part({ alg: 'ES256', typ: 'dpop+jwt', jwk: publicJwk(publicKey) })}.${part({
    htm: 'POST',
    htu: url.split('?')[0],
    iat: Math.floor(AT / 1000),
    jti: 'j',
    ath: TOKEN_HASH,
  })}`;
  const options = { key: privateKey, dsaEncoding: 'ieee-p1363' } as const;
  return `${input}.${sign('sha256', Buffer.from(input), options).toString('base64url')}`;
}

async function certificateOf(publicKey: KeyObject): Promise<string> {
  const authority = await createX509Authority({
    trustDomain: 'bank.example',
    signer: softwareSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' })),
    now: () => AT - 5000,
  });
  const spiffeId = parseSpiffeId(CALLER);
  const { chain } = await authority.issueSvid({ spiffeId, publicKey, ttlSeconds: 3600 });
  return Buffer.from(chain[0] as Uint8Array).toString('base64');
}
