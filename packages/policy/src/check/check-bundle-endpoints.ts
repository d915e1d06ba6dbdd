import { resolve } from 'node:path';
import type { BankConfig, BundleEndpointConfig } from '../repository.ts';
import type { WrittenConfig } from './read-config.ts';
import type { CheckContext } from './repository-source.ts';

type Written = NonNullable<WrittenConfig['authority']>;

const FILES = ['certificateFile', 'keyFile'] as const;

/** A certificate and key where the web's profile needs them, none where the authority's SVID is shown. */
export function checkBundleEndpoints(
  { document, authority }: WrittenConfig,
  { report }: CheckContext,
): void {
  if (!document || !authority) return;
  for (const [index, endpoint] of authority.bundleEndpoints.entries()) {
    const path = ['authority', 'bundleEndpoints', index];
    for (const key of FILES) {
      const isWritten = endpoint[key] !== undefined;
      if (isWritten === (endpoint.profile === 'https_web')) continue;
      report.error(document.at(isWritten ? [...path, key] : path), {
        found: isWritten ? `'${key}' of an https_spiffe endpoint` : `https_web without '${key}'`,
        expected: isWritten
          ? "none: it shows the authority's SVID"
          : 'a certificate of the web and its key, outside the repository',
        mend: isWritten ? 'remove it, or make it https_web' : `name it: ${key}: /run/secrets/…`,
      });
    }
  }
}

/** What `authority` says of bundle endpoints, after {@link checkBundleEndpoints}; keys lie outside what is reviewed. */
export function bundleEndpointConfigs(
  { bundleEndpoints }: Written,
  folder: string,
): Pick<BankConfig['authority'], 'bundleEndpoints'> {
  if (bundleEndpoints.length === 0) return {};
  return {
    bundleEndpoints: bundleEndpoints.map((written): BundleEndpointConfig => {
      const { address, path, profile, certificateFile = '', keyFile = '' } = written;
      if (profile === 'https_spiffe') return { address, path, profile };
      return {
        ...{ address, path, profile },
        certificateFile: resolve(folder, certificateFile),
        keyFile: resolve(folder, keyFile),
      };
    }),
  };
}
