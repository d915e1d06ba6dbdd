import { ACR_VALUES, CRITICALITIES, EVIDENCE_LEVELS, SURFACE_MODES } from '@countersign/model';
import { z } from 'zod';
import type { PolicyBundle } from '../bundle.ts';
import { RepositoryError } from '../repository-error.ts';
import { bundleVersion } from './build-bundle.ts';

const text = z.string();
const texts = z.array(text);

const operation = z.strictObject({
  id: text.min(1),
  method: text.regex(/^[A-Z]+$/),
  path: text.startsWith('/'),
  parameters: z.array(z.strictObject({ name: text.min(1), entityType: text.min(1) })),
  scopes: texts,
  isStateChanging: z.boolean(),
});

const surface = z.strictObject({
  name: text.min(1),
  namespace: text.min(1),
  title: text,
  owner: text,
  criticality: z.enum(CRITICALITIES),
  regulations: texts,
  dataClasses: texts,
  persons: texts,
  mode: z.enum(SURFACE_MODES),
  upstream: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('unix'), path: text.min(1) }),
    z.strictObject({
      kind: z.literal('http'),
      host: text.min(1),
      port: z.number().int().min(0).max(65_535),
    }),
  ]),
  audience: text.min(1),
  factsMaxAgeSeconds: z.number().int().min(1).max(86_400),
  evidenceLevel: z.enum(EVIDENCE_LEVELS),
  retention: text.min(1).exactOptional(),
  identityHeaders: texts,
  operations: z.array(operation),
});

const address = z.strictObject({
  host: text.min(1),
  port: z.number().int().min(0).max(65_535),
});

const point = z.strictObject({
  name: text.min(1),
  kind: z.enum(['gateway', 'sidecar', 'wrap']),
  listeners: z.array(
    z.strictObject({
      name: text.min(1),
      address,
      tls: z.enum(['required', 'off']),
      clientAuthoritiesPem: texts,
      accessTokens: z.literal(true).exactOptional(),
      certificate: z
        .strictObject({ certificateFile: text.min(1), keyFile: text.min(1) })
        .exactOptional(),
      web: z
        .strictObject({
          origin: text.startsWith('https://'),
          clientId: text.min(1),
          issuer: z.strictObject({
            url: text.startsWith('https://'),
            authoritiesPem: z.union([z.literal('system'), texts]).exactOptional(),
          }),
          acr: z.enum(ACR_VALUES),
          audience: text.min(1),
          scopes: texts,
          idleSeconds: z.number().int().min(600).max(43_200),
          userHeader: text.min(1).exactOptional(),
          allowedOrigins: texts,
        })
        .exactOptional(),
      routes: z.array(
        z.strictObject({
          surface: text.min(1),
          prefix: text,
          via: z
            .strictObject({ point: text.min(1), address, spiffeId: text.min(1) })
            .exactOptional(),
        }),
      ),
    }),
  ),
});

const schema = z.strictObject({
  trustDomain: text.min(1),
  sequence: z.number().int().positive(),
  version: text.length(43),
  createdAtMs: z.number().int().nonnegative(),
  surfaces: z.array(surface),
  points: z.array(point),
  record: z
    .strictObject({
      shard: z.enum(['month', 'quarter', 'year']),
      localKeep: z.strictObject({
        count: z.number().int().min(1).max(9999),
        unit: z.enum(['day', 'month', 'year']),
      }),
    })
    .exactOptional(),
  policies: z.array(z.strictObject({ id: text.min(1), text, file: text })),
  schema: text,
});

/**
 * Reads a bundle from the payload of a verified statement.
 *
 * @returns a bundle whose version is that of its content: recomputed, never believed
 * @throws {RepositoryError} `ERR_POLICY_BUNDLE_INVALID` naming the field at fault
 */
export function parseBundle(value: unknown): PolicyBundle {
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new RepositoryError(
      'ERR_POLICY_BUNDLE_INVALID',
      `could not read bundle: found ${issue?.message.toLowerCase() ?? 'nothing'} at '${issue?.path.join('.') ?? ''}', expected a policy bundle`,
      { cause: parsed.error },
    );
  }
  const version = bundleVersion(parsed.data);
  if (version !== parsed.data.version) {
    throw new RepositoryError(
      'ERR_POLICY_BUNDLE_INVALID',
      `could not read bundle: found version '${parsed.data.version}', expected '${version}' for this content`,
    );
  }
  return parsed.data;
}
