import { Buffer } from 'node:buffer';
import type { Bundle } from '../bundle/bundle.ts';
import { encodeKeyPem, encodePem } from '../certificate/pem.ts';
import { GRPC_STATUS, GrpcError } from '../grpc/grpc-status.ts';
import type { MessageOf } from '../protobuf/message.ts';
import { excerpt } from '../spiffe-id.ts';
import type { WorkloadBundles, WorkloadX509Svid } from '../workload-api/workload-source.ts';
import { SPIFFE_VALIDATOR_TYPE, type secretMessage, spiffeValidator } from './sds-messages.ts';

/** SPIRE's names, so that an Envoy configured for SPIRE needs no change. */
export const SECRET_NAMES = Object.freeze({
  /** The first SVID: certificate and key. */
  defaultSvid: 'default',
  /** The bundle of the own trust domain. */
  ownBundle: 'ROOTCA',
  /** Every bundle, each for its own trust domain. */
  allBundles: 'ALL',
});

type Secret = Partial<MessageOf<typeof secretMessage>>;

/**
 * The secrets that were asked for by name: a SPIFFE ID is that SVID, one without path that trust domain's bundle.
 *
 * @param names none means all
 * @throws {GrpcError} `invalidArgument` for a name that the caller is not entitled to
 */
export function secretsOf(
  names: readonly string[],
  { svids, bundles }: { svids: readonly WorkloadX509Svid[]; bundles: WorkloadBundles },
): Secret[] {
  const all = [bundles.own, ...bundles.federated];
  const byName = new Map<string, () => Secret>();
  const { defaultSvid, ownBundle, allBundles } = SECRET_NAMES;
  // SVIDs and bundles by their IDs are what "all" means; the three short names say the same once more.
  for (const svid of svids) byName.set(svid.spiffeId.uri, () => ofSvid(svid.spiffeId.uri, svid));
  for (const bundle of all) {
    const name = `spiffe://${bundle.trustDomain}`;
    byName.set(name, () => ofBundles(name, [bundle]));
  }
  const everything = [...byName.keys()];
  const [first] = svids;
  if (first) byName.set(defaultSvid, () => ofSvid(defaultSvid, first));
  byName.set(ownBundle, () => ofBundles(ownBundle, [bundles.own]));
  byName.set(allBundles, () => ofBundles(allBundles, all));
  return [...new Set(names.length === 0 ? everything : names)].map((name) => {
    const secret = byName.get(name);
    if (secret) return secret();
    throw new GrpcError(
      GRPC_STATUS.invalidArgument,
      `found secret ${excerpt(name)}, expected ${defaultSvid}, ${ownBundle}, ${allBundles} or a spiffe id of this workload`,
    );
  });
}

function ofSvid(name: string, { chain, privateKey }: WorkloadX509Svid): Secret {
  return {
    name,
    tlsCertificate: {
      certificateChain: inline(encodePem(chain)),
      privateKey: inline(encodeKeyPem(privateKey)),
    },
  };
}

/**
 * Always Envoy's own SPIFFE validator (1.18 and later), never a plain list of authorities: it holds each trust domain to
 * its own bundle.
 */
function ofBundles(name: string, bundles: readonly Bundle[]): Secret {
  const config = {
    trustDomains: bundles
      // Envoy refuses an empty bundle, and with it all the others; without its entry nobody of it is believed either.
      .filter(({ x509Authorities }) => x509Authorities.length > 0)
      .map(({ trustDomain, x509Authorities }) => ({
        name: trustDomain,
        trustBundle: inline(encodePem(x509Authorities)),
      })),
  };
  return {
    name,
    validationContext: {
      trustedCa: undefined,
      customValidatorConfig: {
        name: 'envoy.tls.cert_validator.spiffe',
        typedConfig: { typeUrl: SPIFFE_VALIDATOR_TYPE, value: spiffeValidator.encode(config) },
      },
    },
  };
}

function inline(text: string) {
  return { inlineBytes: Buffer.from(text, 'utf8') };
}
