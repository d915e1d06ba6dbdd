import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { AdministrationEvent, DecisionEvent } from '@countersign/model';
import { keyThumbprint, publicJwk, signMessage } from '@countersign/sdk';
import { createX509Authority, parseSpiffeId, softwareSigner } from '@countersign/spiffe';
import { START_MS } from './records.ts';

export const CALLER = 'spiffe://bank.example/partner/example';
const URL = 'https://api.bank.example/pay/payments';

/** What a request that its caller signed leaves in a decision, and in the authority's log about its certificate. */
export interface SignedExchange {
  readonly decision: Partial<DecisionEvent>;
  readonly registration: Omit<AdministrationEvent, 'v' | 'origin' | 'seq'>;
}

/** A signature and a certificate that are real, by a key and an authority made for it. */
export async function signedExchange(): Promise<SignedExchange> {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const certificate = await certificateOf(keys.publicKey);
  return {
    decision: {
      method: 'POST',
      route: '/payments',
      subject: CALLER,
      evidence: 'E2',
      signature: { ...signatureOf(keys), certificate: certificate.toString('base64') },
    },
    registration: {
      kind: 'administration',
      id: 'registration',
      at: START_MS - 1000,
      action: 'certificate-registered',
      by: 'system',
      target: CALLER,
      detail: { thumbprint: createHash('sha256').update(certificate).digest('base64url') },
    },
  };
}

function signatureOf({
  publicKey,
  privateKey,
}: {
  publicKey: KeyObject;
  privateKey: KeyObject;
}): NonNullable<DecisionEvent['signature']> {
  const made = signMessage(
    { kind: 'request', method: 'POST', targetUri: URL, fields: [] },
    {
      key: privateKey,
      components: ['@method', '@target-uri'],
      parameters: { created: START_MS / 1000, keyid: 'k', tag: 'countersign-request' },
      label: 'sig',
    },
  );
  return {
    input: made.signatureInput.slice('sig='.length),
    value: made.signature.slice('sig=:'.length, -1),
    algorithm: 'ecdsa-p256-sha256',
    base: made.base,
    key: publicJwk(publicKey),
    keyThumbprint: keyThumbprint(publicKey),
    keyFrom: 'certificate',
  };
}

async function certificateOf(publicKey: KeyObject): Promise<Buffer> {
  const authority = await createX509Authority({
    trustDomain: 'bank.example',
    signer: softwareSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' })),
    now: () => START_MS - 5000,
  });
  const spiffeId = parseSpiffeId(CALLER);
  const { chain } = await authority.issueSvid({ spiffeId, publicKey, ttlSeconds: 3600 });
  return Buffer.from(chain[0] as Uint8Array);
}
