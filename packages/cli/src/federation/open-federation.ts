import { Federation, type FederationOptions, type Identity } from '@countersign/identity';
import type { Clock } from '@countersign/model';
import type { BankConfig } from '@countersign/policy';
import type { Recorder } from '../authority/own-record.ts';
import type { OwnSvid } from '../authority/own-svid.ts';
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
    readonly record: Recorder;
    readonly now: Clock;
    readonly warn: (text: string) => void;
  },
): Promise<readonly RunningBundleEndpoint[]> {
  const { identity, own, record, now, warn } = options;
  const running: RunningBundleEndpoint[] = [];
  const alarm = 'bundle-endpoint-certificate';
  try {
    for (const endpoint of config.authority.bundleEndpoints ?? []) {
      running.push(
        await serveBundleEndpoint(endpoint, {
          ...{ own, now, trustDomain: config.trustDomain },
          bundle: () => identity.publishedBundle(),
          onTrouble(detail) {
            warn(`alarm ${alarm}: ${detail}`);
            record({ kind: 'alarm', alarm, detail: detail.slice(0, 1000) }).catch((error: Error) =>
              warn(`the alarm was not recorded: ${error.message}`),
            );
          },
        }),
      );
    }
    return running;
  } catch (error) {
    await Promise.all(running.map((each) => each.close()));
    throw error;
  }
}
