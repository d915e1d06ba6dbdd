import { X509Certificate } from 'node:crypto';
import type { LoginSettings } from '@countersign/identity';
import type { BankConfig, LoginConfig } from '@countersign/policy';

/**
 * How people sign in, as the repository has it that was applied last; nothing where they did not at the start. A
 * repository that says nothing of it any more changes nothing until the authority starts again.
 */
export function loginSettings(
  started: BankConfig,
  applied: () => BankConfig,
): (() => LoginSettings) | undefined {
  const first = started.authority.login;
  if (first === undefined) return undefined;
  const made = new WeakMap<LoginConfig, LoginSettings>();
  return () => {
    const config = applied().authority.login ?? first;
    const known = made.get(config);
    if (known) return known;
    const { rootsPem, aaguids } = config.hardwareKeys;
    const roots = rootsPem.map((pem) => new Uint8Array(new X509Certificate(pem).raw));
    const settings = { ...config, hardwareKeys: { roots, aaguids } };
    made.set(config, settings);
    return settings;
  };
}
