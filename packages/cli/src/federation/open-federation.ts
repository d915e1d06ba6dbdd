import { Federation, type FederationOptions, type Identity } from '@countersign/identity';
import type { BankConfig } from '@countersign/policy';
import type { OwnSvid } from '../authority/keys/own-svid.ts';
import type { Recorder } from '../authority/record/own-record.ts';
import type { ListenerCertificates } from '../listener-certificate/listener-certificates.ts';
import { type RunningBundleEndpoint, serveBundleEndpoint } from './serve-bundle-endpoint.ts';

/** Opens federation with nobody followed yet. */
export function openFederation(
  options: Omit<FederationOptions, 'record'> & { readonly record: Recorder },
): Promise<Federation> {
  return Federation.open({ ...options, record: options.record as FederationOptions['record'] });
}

/** Starts every bundle endpoint of the configuration; those that started are closed when one cannot. */
export async function serveBundleEndpoints(
  config: BankConfig,
  options: {
    readonly identity: Pick<Identity, 'publishedBundle'>;
    readonly own: OwnSvid;
    readonly certificates: Pick<ListenerCertificates, 'open'>;
  },
): Promise<readonly RunningBundleEndpoint[]> {
  const { identity, own, certificates } = options;
  const running: RunningBundleEndpoint[] = [];
  try {
    for (const endpoint of config.authority.bundleEndpoints ?? []) {
      running.push(
        await serveBundleEndpoint(endpoint, {
          ...{ own, certificates, trustDomain: config.trustDomain },
          bundle: () => identity.publishedBundle(),
        }),
      );
    }
    return running;
  } catch (error) {
    await Promise.all(running.map((each) => each.close()));
    throw error;
  }
}
