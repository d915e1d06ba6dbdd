import type { Metrics } from '@countersign/audit';
import {
  lookAtFiles,
  type ProviderFileFault,
  type ProviderOperations,
  type ProviderStanding,
} from '@countersign/identity';
import type { BankConfig, Problem } from '@countersign/policy';
import type { Recorder } from './record/own-record.ts';

/** Whoever renews a key writes a file; nobody tells us. */
const LOOK_EVERY_MS = 5_000;

/** What of the configured identity providers cannot be used on this host: `check` runs elsewhere, and opens no key. */
export async function providerFileProblems({ authority }: BankConfig): Promise<Problem[]> {
  const looked = await Promise.all((authority.login?.identityProviders ?? []).map(lookAtFiles));
  return looked.flatMap(({ faults }) =>
    faults.map(({ provider, setting, file, found, expected }) => ({
      severity: 'error',
      file: 'countersign.yaml',
      found: `${found} at ${setting} of identity provider '${provider}': ${file}`,
      expected,
      mend: 'put it on the host of the authority, or correct the path',
    })),
  );
}

/** `keyFile of 'staff', /run/secrets/staff.key: found no file, expected …` */
export function fileFaultText({ provider, setting, file, found, expected }: ProviderFileFault) {
  return `${setting} of '${provider}', ${file}: found ${found}, expected ${expected}`;
}

/**
 * Looks at identity providers from now on, so that what is wrong is not first noticed by somebody who signs in: at once, and every
 * five seconds. A file that cannot be used is an alarm, once, when it is found so twice: a renewal writes two files, which in between
 * do not belong together.
 */
export function watchProviders(
  providers: ProviderOperations | undefined,
  { record, warn }: { readonly record: Recorder; readonly warn: (text: string) => void },
): { readonly status: () => readonly ProviderStanding[]; close(): void } {
  const status = () => providers?.standings() ?? [];
  let [found, told] = [new Set<string>(), new Set<string>()];
  let [isLooking, isClosed] = [false, false];
  const look = async (): Promise<void> => {
    if (isLooking) return;
    isLooking = true;
    try {
      await providers?.look();
      if (isClosed) return;
      const faults = status().flatMap(({ files }) => files.map(fileFaultText));
      const lasting = faults.filter((each) => found.has(each));
      const news = lasting.filter((each) => !told.has(each));
      [found, told] = [new Set(faults), new Set(lasting)];
      for (const detail of news) {
        warn(`alarm idp-files: ${detail}`);
        await record({ kind: 'alarm', alarm: 'idp-files', detail: detail.slice(0, 1000) });
      }
    } catch (error) {
      warn(`identity providers: ${(error as Error).message}`);
    } finally {
      isLooking = false;
    }
  };
  if (providers) void look();
  const timer = setInterval(() => void look(), LOOK_EVERY_MS);
  timer.unref();
  return {
    status,
    close() {
      isClosed = true;
      clearInterval(timer);
    },
  };
}

/** Tells monitoring whether people can sign in. */
export function measureProviders(
  metrics: Metrics,
  status: () => readonly ProviderStanding[],
): void {
  metrics.gauge(
    'countersign_idp_failing',
    'Whether an identity provider did not answer when it was asked last, or a file of its configuration cannot be used.',
    () => status().map(({ name, isFailing }) => [{ provider: name }, isFailing ? 1 : 0]),
  );
  metrics.gauge(
    'countersign_idp_last_success_seconds',
    'When an identity provider answered last, Unix time.',
    () =>
      status().flatMap(({ name, lastSuccessMs }) =>
        lastSuccessMs === undefined ? [] : [[{ provider: name }, lastSuccessMs / 1000] as const],
      ),
  );
}
