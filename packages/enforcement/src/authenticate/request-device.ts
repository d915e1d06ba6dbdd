import type { FactView } from '@countersign/decision';
import { type RequestDevice, type Subject, subjectFromId } from '@countersign/model';
import type { ConnectionPeer } from '../peer.ts';
import { refused, type TokenRefusal } from './identity.ts';

const DEVICE = /^spiffe:\/\/[^/]+\/device\//;

/** Whether a SPIFFE ID is that of a device of our trust domain. */
export function isDevice(spiffeId: string, trustDomain: string): boolean {
  return spiffeId.startsWith(`spiffe://${trustDomain}/device/`);
}

/**
 * The device that a request comes from: whose certificate the connection shows, or to which the key is bound that signs the
 * request's proofs.
 *
 * @param proofKey RFC 7638 thumbprint of the key that the token is bound to, and that is proved on each request
 */
export function requestDevice(
  peer: ConnectionPeer,
  proofKey: string | undefined,
  { trustDomain, facts }: { readonly trustDomain: string; readonly facts: FactView },
): RequestDevice | undefined {
  // The certificate first: the handshake proved its key, and nobody can have carried it here from another device.
  if (peer.kind === 'svid' && isDevice(peer.id, trustDomain)) {
    return { subject: subjectFromId(peer.id), proof: 'mtls' };
  }
  const id = proofKey === undefined ? undefined : facts.deviceOfKey(proofKey);
  return id === undefined ? undefined : { subject: subjectFromId(id), proof: 'dpop' };
}

/**
 * Why a device does not go with the token. One that has an owner speaks for nobody else: whoever else uses it has the token, or
 * the device, of another. A key that is bound to one device and comes from another was carried there.
 */
export function deviceFault(
  device: RequestDevice | undefined,
  token: { readonly subject: Subject; readonly proofKey?: string },
  facts: FactView,
): TokenRefusal | undefined {
  if (device === undefined) return undefined;
  const { id } = device.subject;
  const holder = token.proofKey === undefined ? undefined : facts.deviceOfKey(token.proofKey);
  if (holder !== undefined && holder !== id) {
    return refused('token-binding', `bound to the key of '${holder}', and comes from '${id}'`);
  }
  const owner = facts.device(id)?.owner;
  if (owner === undefined || token.subject.kind !== 'human' || token.subject.id === owner) {
    return undefined;
  }
  return refused('token-subject', `device '${id}' is of '${owner}'`);
}

/** The device that a transaction token names, as its point saw it. */
export function vouchedDevice(id: string | undefined): RequestDevice | undefined {
  if (id === undefined || !DEVICE.test(id)) return undefined;
  try {
    return { subject: subjectFromId(id), proof: 'transaction' };
  } catch {
    return undefined;
  }
}
