import { generateKeyPairSync } from 'node:crypto';
import type { Fact } from '@countersign/model';
import type { PolicyBundle } from '@countersign/policy';
import {
  FACTS_TYPE,
  type FactMessage,
  localSigner,
  POLICY_TYPE,
  type StatementSigner,
  signStatement,
  type TrustAnchors,
} from '@countersign/state';
import { NOON, TRUST_DOMAIN } from './bank.ts';

const signer = (kid: string): StatementSigner =>
  localSigner(generateKeyPairSync('ed25519').privateKey, kid);

export const factKey = signer('facts-1');
export const policyKey = signer('policy-1');
export const strangerKey = signer('facts-1');

export const ANCHORS: TrustAnchors = {
  trustDomain: TRUST_DOMAIN,
  x509Authorities: [],
  factKeys: [factKey.publicJwk],
  policyKeys: [policyKey.publicJwk],
};

/** A line of facts, signed by the fact key unless a test wants another. */
export async function factsLine(
  payload: unknown,
  by = factKey,
  type = FACTS_TYPE,
): Promise<string> {
  return JSON.stringify({ facts: await signStatement(payload, { type, signer: by }) });
}

/** A line with a bundle, signed by the policy key unless a test wants another. */
export async function policyLine(
  bundle: PolicyBundle,
  by = policyKey,
  type = POLICY_TYPE,
): Promise<string> {
  return JSON.stringify({ policy: await signStatement(bundle, { type, signer: by }) });
}

type Head = { trustDomain?: string; atMs?: number };

export function snapshot(
  sequence: number,
  facts: readonly Fact[],
  head: Head = {},
): Promise<string> {
  return factsLine({
    kind: 'snapshot',
    trustDomain: TRUST_DOMAIN,
    sequence,
    atMs: NOON,
    facts,
    ...head,
  } satisfies FactMessage);
}

export function change(
  sequence: number,
  { puts = [], removes = [] }: { puts?: readonly Fact[]; removes?: readonly string[] } = {},
  head: Head = {},
): Promise<string> {
  return factsLine({
    kind: 'change',
    trustDomain: TRUST_DOMAIN,
    sequence,
    atMs: NOON,
    puts,
    removes,
    ...head,
  } satisfies FactMessage);
}

export function beat(sequence: number, head: Head = {}): Promise<string> {
  return factsLine({
    kind: 'beat',
    trustDomain: TRUST_DOMAIN,
    sequence,
    atMs: NOON,
    ...head,
  } satisfies FactMessage);
}
