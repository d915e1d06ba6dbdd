import { resolve } from 'node:path';
import type { StorageConfig } from '../repository.ts';
import type { WrittenConfig } from './read-config.ts';
import type { CheckContext } from './repository-source.ts';

/** Checks `authority.storage` and makes paths absolute; the files are on the authority's host, and not read. */
export function checkStorage(
  { document, authority }: WrittenConfig,
  { folder, report }: CheckContext,
): StorageConfig | undefined {
  const written = authority?.storage?.postgres;
  if (!document || !written) return undefined;
  const { passwordFile, caFile, certificateFile, keyFile, ...place } = written;
  const at = (key: string) => document.at(['authority', 'storage', 'postgres', key]);
  if ((certificateFile === undefined) !== (keyFile === undefined)) {
    const [has, lacks] = keyFile ? ['keyFile', 'certificateFile'] : ['certificateFile', 'keyFile'];
    report.error(at(String(has)), {
      found: `'${has}' without '${lacks}'`,
      expected: 'both, or neither',
      mend: `add '${lacks}'`,
    });
  }
  for (const [key, value] of Object.entries({ caFile, certificateFile, keyFile })) {
    if (value === undefined || !place.host.startsWith('/')) continue;
    report.error(at(key), {
      found: `'${key}' with the Unix socket '${place.host}'`,
      expected: 'a host that is reached by TLS',
      mend: `name the host, or remove '${key}'`,
    });
  }
  const file = (path: string) => resolve(folder, path);
  return {
    kind: 'postgres',
    ...place,
    ...(passwordFile !== undefined && { passwordFile: file(passwordFile) }),
    ...(caFile !== undefined && { caFile: file(caFile) }),
    ...(certificateFile !== undefined &&
      keyFile !== undefined && {
        certificate: { certificateFile: file(certificateFile), keyFile: file(keyFile) },
      }),
  };
}
