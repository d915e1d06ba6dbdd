import { resolve } from 'node:path';
import { ASSURANCES, type PostureSignal } from '@countersign/model';
import { quote } from '../document/describe.ts';
import type { DevicesConfig } from '../repository.ts';
import type { WrittenConfig } from './read-config.ts';
import { type CheckContext, createNameRegister } from './repository-source.ts';

/** Formats whose checks are named by the bank: without a mapping they say little, or nothing. */
const MAPPED: ReadonlySet<string> = new Set(['crowdstrike', 'fleet', 'osquery']);

/** Checks `authority.devices` and makes paths absolute; secrets are not read: they may be elsewhere. */
export function checkDevices(
  { document, authority }: WrittenConfig,
  { report, folder }: CheckContext,
): DevicesConfig | undefined {
  const devices = authority?.devices;
  if (!document || !devices) return undefined;
  const at = (...path: PropertyKey[]) => document.at(['authority', 'devices', ...path]);
  const { sources, signals, maxAge } = devices.posture;
  const names = createNameRegister('source', report);
  for (const [index, { name, format, checks, secretFile }] of sources.entries()) {
    names.take(name, at('posture', 'sources', index, 'name'));
    if (checks !== undefined && !MAPPED.has(format)) {
      report.error(at('posture', 'sources', index, 'checks'), {
        found: `'checks' of a source in the shape of ${quote(format)}`,
        expected: `none: its fields are signals already; ${[...MAPPED].join(', ')} have checks`,
        mend: 'remove it',
      });
    }
    if (format === 'osquery' && checks === undefined) {
      report.error(at('posture', 'sources', index, 'format'), {
        found: "'osquery' without 'checks'",
        expected: 'which query is which signal: without it nothing of what it says is used',
        mend: "add 'checks: { <name of a query>: <signal> }'",
      });
    }
    if (secretFile !== undefined && devices.webhooks === undefined) {
      report.error(at('posture', 'sources', index, 'secretFile'), {
        found: "'secretFile' where no webhooks are served",
        expected: "'authority.devices.webhooks' beside it",
        mend: "add 'webhooks: { address: 127.0.0.1:7407 }'",
      });
    }
  }
  if (devices.webhooks && !sources.some(({ secretFile }) => secretFile !== undefined)) {
    report.error(at('webhooks'), {
      found: "'webhooks' and no source with a 'secretFile'",
      expected: 'a source that may send',
      mend: "add 'secretFile' to a source, or remove 'webhooks'",
    });
  }
  const { certificateFile, keyFile } = devices.webhooks ?? {};
  if ((certificateFile === undefined) !== (keyFile === undefined)) {
    report.error(at('webhooks', keyFile === undefined ? 'certificateFile' : 'keyFile'), {
      found: "one of 'certificateFile' and 'keyFile'",
      expected: 'both, or neither',
      mend: 'add the other',
    });
  }
  const best = Math.max(-1, ...sources.map((each) => ASSURANCES.indexOf(each.assurance)));
  for (const [signal, limit] of Object.entries(signals)) {
    const least = limit?.assurance;
    // Signals of shared-signal transmitters are `managed`, whatever sources there are.
    if (least !== 'attested' || best >= ASSURANCES.indexOf(least)) continue;
    report.warn(at('posture', 'signals', signal, 'assurance'), {
      found: `'${least}' of ${quote(signal)}, which no source vouches for`,
      expected: 'a source with that assurance: until then the signal is unknown',
      mend: 'ask for less, or add such a source',
    });
  }
  const path = (file: string) => resolve(folder, file);
  return {
    certificateTtlSeconds: devices.certificateTtl,
    absenceSeconds: devices.absence,
    posture: {
      maxAgeSeconds: maxAge,
      signals: Object.fromEntries(
        Object.entries(signals).map(([signal, limit]) => [
          signal as PostureSignal,
          {
            ...(limit?.maxAge !== undefined && { maxAgeSeconds: limit.maxAge }),
            ...(limit?.assurance !== undefined && { assurance: limit.assurance }),
          },
        ]),
      ),
      sources: sources.map(({ name, format, assurance, checks, secretFile }) => ({
        ...{ name, format, assurance },
        ...(checks !== undefined && { checks }),
        ...(secretFile !== undefined && { secretFile: path(secretFile) }),
      })),
    },
    ...(devices.webhooks && {
      webhooks: {
        address: devices.webhooks.address,
        ...(certificateFile !== undefined && { certificateFile: path(certificateFile) }),
        ...(keyFile !== undefined && { keyFile: path(keyFile) }),
      },
    }),
  };
}
