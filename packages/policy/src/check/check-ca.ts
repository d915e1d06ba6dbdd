import { resolve } from 'node:path';
import type { z } from 'zod';
import { listOf } from '../document/describe.ts';
import type { CaConfig, Pkcs11Config, SecretConfig, UpstreamConfig } from '../repository.ts';
import type { caKeysShape, upstreamShape } from '../shape/ca-shape.ts';
import type { WrittenConfig } from './read-config.ts';
import type { CheckContext } from './repository-source.ts';

type WrittenUpstream = z.output<typeof upstreamShape>;
type WrittenPkcs11 = z.output<typeof caKeysShape>['pkcs11'];
type WrittenSecret = { readonly file?: string | undefined; readonly env?: string | undefined };

/** Checks `authority.ca` and makes paths absolute; secrets are not read: they may be elsewhere. */
export function checkCa(
  { document, authority }: WrittenConfig,
  context: CheckContext,
): CaConfig | undefined {
  if (!document || !authority) return undefined;
  const { lifetime, jwtLifetime, tokenLifetime, upstream, keys } = authority.ca;
  const one = oneOf(document, context);
  const place = placeOf(context);
  const signedBy = upstream && upstreamOf(upstream, { document, context, one, place });
  const pkcs11 = keys && pkcs11Of(keys.pkcs11, { document, context, one, place });
  return {
    lifetimeSeconds: lifetime,
    jwtLifetimeSeconds: jwtLifetime,
    tokenLifetimeSeconds: tokenLifetime,
    ...(signedBy && { upstream: signedBy }),
    ...(pkcs11 && { pkcs11 }),
  };
}

interface Tools {
  readonly document: NonNullable<WrittenConfig['document']>;
  readonly context: CheckContext;
  readonly one: ReturnType<typeof oneOf>;
  readonly place: ReturnType<typeof placeOf>;
}

/** Tells when not exactly one of some keys is there; answers the one. */
function oneOf(document: Tools['document'], { report }: CheckContext) {
  return <Key extends string>(
    written: { readonly [K in Key]?: unknown },
    keys: readonly Key[],
    path: readonly PropertyKey[],
  ): Key | undefined => {
    const found = keys.filter((key) => written[key] !== undefined);
    if (found.length === 1) return found[0];
    report.error(document.at(['authority', 'ca', ...path]), {
      found: found.length === 0 ? 'none of them' : listOf(found),
      expected: `one of ${listOf(keys)}`,
      mend: found.length === 0 ? 'add one' : 'keep one',
    });
    return undefined;
  };
}

function placeOf({ folder }: CheckContext) {
  const secret = ({ file, env }: WrittenSecret): SecretConfig => ({
    ...(file !== undefined && { file: resolve(folder, file) }),
    ...(env !== undefined && { env }),
  });
  return { file: (path: string): string => resolve(folder, path), secret };
}

function upstreamOf(written: WrittenUpstream, tools: Tools): UpstreamConfig | undefined {
  const { one, place } = tools;
  const kind = one(written, ['disk', 'vault', 'spire'], ['upstream']);
  const { disk, vault, spire } = written;
  if (kind === 'disk' && disk) {
    const { certificateFile, keyFile, rootsFile, passphrase } = disk;
    if (passphrase) one(passphrase, ['file', 'env'], ['upstream', 'disk', 'passphrase']);
    return {
      kind,
      certificateFile: place.file(certificateFile),
      keyFile: place.file(keyFile),
      ...(rootsFile !== undefined && { rootsFile: place.file(rootsFile) }),
      ...(passphrase && { passphrase: place.secret(passphrase) }),
    };
  }
  if (kind === 'vault' && vault) return vaultOf(vault, tools);
  return kind === 'spire' && spire ? { kind, ...spire } : undefined;
}

function vaultOf(
  written: NonNullable<WrittenUpstream['vault']>,
  { document, context, one, place }: Tools,
): UpstreamConfig | undefined {
  const { address, mount, namespace, issuer, caFile, certificateFile, keyFile, auth } = written;
  const path = ['upstream', 'vault'];
  if ((certificateFile === undefined) !== (keyFile === undefined)) {
    const [has, lacks] = keyFile
      ? (['keyFile', 'certificateFile'] as const)
      : (['certificateFile', 'keyFile'] as const);
    context.report.error(document.at(['authority', 'ca', ...path, has]), {
      found: `'${has}' without '${lacks}'`,
      expected: 'both, or neither',
      mend: `add '${lacks}'`,
    });
  }
  const kind = one(auth, ['token', 'appRole', 'kubernetes', 'certificate'], [...path, 'auth']);
  if (auth.token) one(auth.token, ['file', 'env'], [...path, 'auth', 'token']);
  if (auth.appRole) {
    one(auth.appRole.secretId, ['file', 'env'], [...path, 'auth', 'appRole', 'secretId']);
  }
  if (kind === 'certificate' && certificateFile === undefined) {
    context.report.error(document.at(['authority', 'ca', ...path, 'auth', 'certificate']), {
      found: "no 'certificateFile'",
      expected: 'the client certificate to log in with',
      mend: "add 'certificateFile' and 'keyFile' beside 'auth'",
    });
  }
  if (kind === undefined) return undefined;
  return {
    kind: 'vault',
    address,
    mount,
    ...(namespace !== undefined && { namespace }),
    ...(issuer !== undefined && { issuer }),
    ...(caFile !== undefined && { caFile: place.file(caFile) }),
    ...(certificateFile !== undefined && { certificateFile: place.file(certificateFile) }),
    ...(keyFile !== undefined && { keyFile: place.file(keyFile) }),
    auth: {
      ...(auth.token && { token: place.secret(auth.token) }),
      ...(auth.appRole && {
        appRole: { ...auth.appRole, secretId: place.secret(auth.appRole.secretId) },
      }),
      ...(auth.kubernetes && {
        kubernetes: { ...auth.kubernetes, tokenFile: place.file(auth.kubernetes.tokenFile) },
      }),
      ...(auth.certificate && { certificate: auth.certificate }),
    },
  } as UpstreamConfig;
}

function pkcs11Of(written: WrittenPkcs11, { document, context, one, place }: Tools): Pkcs11Config {
  const { module, tokenLabel, tokenSerial, pin, sessions, timeout } = written;
  if (tokenLabel === undefined && tokenSerial === undefined) {
    context.report.error(document.at(['authority', 'ca', 'keys', 'pkcs11']), {
      found: "neither 'tokenLabel' nor 'tokenSerial'",
      expected: 'which token of the module',
      mend: "add 'tokenLabel'",
    });
  }
  if (pin) one(pin, ['file', 'env'], ['keys', 'pkcs11', 'pin']);
  return {
    module,
    ...(tokenLabel !== undefined && { tokenLabel }),
    ...(tokenSerial !== undefined && { tokenSerial }),
    ...(pin && { pin: place.secret(pin) }),
    sessions,
    timeoutSeconds: timeout,
  };
}
