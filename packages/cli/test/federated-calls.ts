import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { clientTlsOptions, type TlsIdentity, type X509Context } from '@countersign/spiffe';
import { expect } from 'vitest';
import type { FederatedBank } from './federated-banks.ts';

/** Waits until something holds, 20 s at the longest. */
export async function until(holds: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 20_000;
  while (!(await holds())) {
    if (Date.now() > end) expect.fail('it did not come to be');
    await sleep(25);
  }
}

/** Each declares the other, with the bundle that it hands over by another way than its endpoint; nothing is applied yet. */
export async function declareEachOther(one: FederatedBank, other: FederatedBank): Promise<void> {
  for (const [here, there] of [
    [one, other],
    [other, one],
  ] as const) {
    const { out } = await there.onData('federation', 'bundle');
    const { trustDomain, endpointUrl: url, authorityId: spiffeId } = there;
    await here.declare({ trustDomain, url, spiffeId }, out);
    await here.write('identities/nodes.yaml', here.nodes(trustDomain));
  }
}

/** An identity that is whoever comes with one of these SPIFFE IDs. */
export const federatedRegistration = (federated: readonly string[]) =>
  `- id: partner/federated
  owner: open-banking@bank.example
  organisation: example
  attributes: { federated: true }
  spiffeIds: [${federated.map((id) => `'${id}'`).join(', ')}]
`;

/** The context that a node gives the workload, as soon as it has the bundle of that trust domain. */
export async function contextWith(of: FederatedBank, trustDomain: string): Promise<X509Context> {
  const client = of.client();
  await until(async () => (await client.fetchX509Context()).bundles.has(trustDomain));
  return client.fetchX509Context();
}

/** The first SVID of a context. */
export function identityOf({ svids: [svid] }: X509Context): TlsIdentity {
  if (!svid) throw new Error('no SVID');
  return svid;
}

export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly eventId: string;
}

/** Calls a bank's edge with an SVID, as a program of the partner does: it believes the edge by these authorities only. */
export function open(
  bank: FederatedBank,
  svid: TlsIdentity,
  authorities: readonly Uint8Array[],
  path = '/accounts-api/accounts/22289',
): Promise<IncomingMessage> {
  const tls = clientTlsOptions({ svid, expect: bank.edgeId, authorities, now: Date.now });
  return new Promise((resolve, reject) => {
    request(
      { ...(tls as object), host: '127.0.0.1', port: bank.edgePort, path, agent: false },
      resolve,
    )
      .once('error', reject)
      .end();
  });
}

/** As {@link open}, to the end of the answer. */
export async function call(
  bank: FederatedBank,
  svid: TlsIdentity,
  authorities: readonly Uint8Array[],
): Promise<Answer> {
  const answer = await open(bank, svid, authorities);
  const body = await answer.toArray();
  const eventId = String(answer.headers['countersign-event-id'] ?? '');
  return { status: answer.statusCode ?? 0, body: Buffer.concat(body).toString(), eventId };
}
