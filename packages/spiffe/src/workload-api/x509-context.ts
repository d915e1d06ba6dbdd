import { Buffer } from 'node:buffer';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { parseCertificate } from '../certificate/parse-certificate.ts';
import { encodeKeyPem } from '../certificate/pem.ts';
import { DerReader } from '../der/der-reader.ts';
import { DER_TAG } from '../der/der-writer.ts';
import type { MessageOf } from '../protobuf/message.ts';
import { SpiffeError } from '../spiffe-error.ts';
import { parseSpiffeId, type SpiffeId } from '../spiffe-id.ts';
import type { TlsIdentity } from '../tls/server-tls-options.ts';
import type { x509BundlesResponse, x509SvidResponse } from './workload-messages.ts';

/** An X.509-SVID with its key, as TLS takes it. */
export interface X509Identity extends TlsIdentity {
  readonly spiffeId: SpiffeId;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly hint?: string;
}

/** X.509 authorities (DER) by trust domain, never mixed. */
export type X509Bundles = ReadonlyMap<string, readonly Uint8Array[]>;

/** All that a workload has been given for X.509, at one moment. */
export interface X509Context {
  /** At least one. */
  readonly svids: readonly X509Identity[];
  /** The first of them. */
  readonly defaultSvid: X509Identity;
  readonly bundles: X509Bundles;
}

/** Reads and checks a whole message; one that is not whole is no use in parts (SPIFFE Workload API §4.5). */
export function x509ContextOf({
  svids,
  federatedBundles,
}: MessageOf<typeof x509SvidResponse>): X509Context {
  const bundles = new Map(x509BundlesIn(federatedBundles));
  const seen = new Set<string>();
  const identities = svids.map(({ spiffeId: uri, chain, privateKey, bundle, hint }) => {
    const spiffeId = idOf(uri);
    bundles.set(spiffeId.trustDomain, certificatesOf(bundle, 'bundle'));
    // §5.2.1: of equal hints the first counts.
    const isFirst = hint !== '' && !seen.has(hint);
    seen.add(hint);
    return identityOf(spiffeId, { chain, privateKey, ...(isFirst ? { hint } : {}) });
  });
  const [defaultSvid] = identities;
  if (!defaultSvid) throw protocol('no svid', 'one or more');
  return Object.freeze({ svids: Object.freeze(identities), defaultSvid, bundles });
}

export function x509BundlesOf({ bundles }: MessageOf<typeof x509BundlesResponse>): X509Bundles {
  if (bundles.size === 0) throw protocol('no bundle', 'one or more');
  return x509BundlesIn(bundles);
}

function x509BundlesIn(bundles: ReadonlyMap<string, Uint8Array>): X509Bundles {
  return new Map(
    [...bundles].map(([name, der]) => [trustDomainOf(name), certificatesOf(der, 'bundle')]),
  );
}

/** The keys of the API's maps: the trust domain's SPIFFE ID. go-spiffe takes the bare name, too, and so does this. */
export function trustDomainOf(name: string): string {
  return idOf(name.startsWith('spiffe://') ? name : `spiffe://${name}`).trustDomain;
}

function identityOf(
  spiffeId: SpiffeId,
  parts: { readonly chain: Uint8Array; readonly privateKey: Uint8Array; readonly hint?: string },
): X509Identity {
  const chain = certificatesOf(parts.chain, 'svid');
  const [der] = chain;
  if (!der) throw protocol('an svid without certificate', 'a chain');
  const leaf = parseCertificate(der);
  const [uri] = leaf.alternativeNames.uris;
  if (leaf.alternativeNames.uris.length !== 1 || uri !== spiffeId.uri) {
    throw protocol(`a certificate of another than '${spiffeId.uri}'`, 'its own');
  }
  const keyPem = encodeKeyPem(parts.privateKey);
  if (!isKeyOf(keyPem, leaf.publicKey)) throw protocol('a key of another certificate', 'its own');
  return Object.freeze({
    spiffeId,
    chain,
    keyPem,
    notBeforeMs: leaf.notBeforeMs,
    notAfterMs: leaf.notAfterMs,
    ...(parts.hint === undefined ? {} : { hint: parts.hint }),
  });
}

function isKeyOf(keyPem: string, publicKeyInfo: Uint8Array): boolean {
  try {
    const publicKey = createPublicKey(createPrivateKey(keyPem));
    return publicKey.equals(
      createPublicKey({ key: Buffer.from(publicKeyInfo), format: 'der', type: 'spki' }),
    );
  } catch (cause) {
    throw protocol('a broken private key', 'pkcs#8', cause);
  }
}

/** Certificates one after the other, each DER and nothing between them. */
function certificatesOf(bytes: Uint8Array, what: string): readonly Uint8Array[] {
  const reader = new DerReader(bytes, what);
  const certificates: Uint8Array[] = [];
  while (!reader.isAtEnd) certificates.push(reader.read(DER_TAG.sequence).raw);
  return Object.freeze(certificates);
}

function idOf(uri: string): SpiffeId {
  try {
    return parseSpiffeId(uri);
  } catch (cause) {
    throw protocol('an id that is none', 'a spiffe id', cause);
  }
}

export function protocol(found: string, expected: string, cause?: unknown): SpiffeError {
  return new SpiffeError(
    'ERR_SPIFFE_WORKLOAD_PROTOCOL',
    `could not read answer of workload api: found ${found}, expected ${expected}`,
    { cause },
  );
}
