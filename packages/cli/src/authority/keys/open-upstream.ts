import { readFile } from 'node:fs/promises';
import type { UpstreamConfig } from '@countersign/policy';
import {
  openDiskUpstream,
  openSpireUpstream,
  openVaultUpstream,
  type UpstreamAuthority,
  type VaultAuth,
} from '@countersign/spiffe';
import { secretReader } from './read-secret.ts';

interface Surroundings {
  readonly trustDomain: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly now: () => number;
  readonly warn: (text: string) => void;
}

/** Opens who signs our X.509 authorities, by its kind; nothing is asked of it yet. */
export function openUpstream(config: UpstreamConfig, around: Surroundings): UpstreamAuthority {
  const { trustDomain, env: environment, now } = around;
  switch (config.kind) {
    case 'disk': {
      const { certificateFile, keyFile, rootsFile, passphrase } = config;
      const what = `the passphrase of '${keyFile}'`;
      return openDiskUpstream({
        ...{ certificateFile, keyFile, now },
        ...(rootsFile !== undefined && { rootsFile }),
        ...(passphrase && { passphrase: secretReader(passphrase, { what, environment }) }),
      });
    }
    case 'vault': {
      const { address, mount, namespace, issuer, caFile, certificateFile, keyFile } = config;
      return openVaultUpstream({
        ...{ address, mount, now, auth: vaultAuth(config, environment) },
        ...(namespace !== undefined && { namespace }),
        ...(issuer !== undefined && { issuer }),
        tls: async () => ({
          ...(caFile !== undefined && { ca: await readFile(caFile, 'utf8') }),
          ...(certificateFile !== undefined && { cert: await readFile(certificateFile, 'utf8') }),
          ...(keyFile !== undefined && { key: await readFile(keyFile, 'utf8') }),
        }),
        onTrouble: upstreamTrouble(around),
      });
    }
    case 'spire': {
      const { server, workloadApi } = config;
      return openSpireUpstream({ server, workloadApi, trustDomain, now, random: Math.random });
    }
  }
}

/** Tells of trouble with an upstream: what is the same again is told every ten minutes. */
export function upstreamTrouble({
  now,
  warn,
}: Pick<Surroundings, 'now' | 'warn'>): (error: unknown) => void {
  let last: { readonly text: string; readonly atMs: number } | undefined;
  return (error) => {
    const text = error instanceof Error ? error.message : String(error);
    if (last?.text === text && now() - last.atMs < REPEAT_MS) return;
    last = { text, atMs: now() };
    warn(`upstream: ${text}`);
  };
}

const REPEAT_MS = 10 * 60_000;

function vaultAuth(
  { auth }: Extract<UpstreamConfig, { kind: 'vault' }>,
  environment: Surroundings['env'],
): VaultAuth {
  const { token, appRole, kubernetes, certificate } = auth;
  if (token) {
    const what = 'the token of Vault';
    return { kind: 'token', token: secretReader(token, { what, environment }) };
  }
  if (appRole) {
    const what = 'the secret id of Vault';
    const secretId = secretReader(appRole.secretId, { what, environment });
    return { kind: 'appRole', ...appRole, secretId };
  }
  if (kubernetes) {
    const { tokenFile, ...rest } = kubernetes;
    return { kind: 'kubernetes', ...rest, jwt: () => readFile(tokenFile, 'utf8') };
  }
  return { kind: 'certificate', ...certificate };
}
