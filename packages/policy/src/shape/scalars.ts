import { subjectFromId } from '@countersign/model';
import { parseSpiffeId } from '@countersign/spiffe';
import { z } from 'zod';
import type { HostPort } from '../repository.ts';

/** Text for people: one line, not empty. */
export const words = (description: string, example: string) =>
  z
    .string()
    .regex(/^[^\p{C}]{1,500}$/u, description)
    .meta({ description, examples: [example] });

/** A name that others refer to. */
export const kebab = (description: string, example: string) =>
  z
    .string()
    .regex(/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/, `${description}: lower-case words joined by '-'`)
    .max(63, `${description}: at most 63 characters`)
    .meta({ description, examples: [example] });

const UNIT_SECONDS = { s: 1, m: 60, h: 3600 } as const;

/** A duration such as `60s`, `5m` or `1h`, read as seconds. */
export const duration = (
  description: string,
  bounds: { readonly min: string; readonly max: string; readonly example: string },
) => {
  const full = `${description}, ${bounds.min} to ${bounds.max}`;
  return z
    .string()
    .regex(/^[0-9]{1,6}[smh]$/, `${full}: a whole number and s, m or h`)
    .transform(secondsOf)
    .refine((seconds) => seconds >= secondsOf(bounds.min) && seconds <= secondsOf(bounds.max), full)
    .meta({ description: full, examples: [bounds.example] });
};

function secondsOf(text: string): number {
  const unit = text.at(-1) as keyof typeof UNIT_SECONDS;
  return Number(text.slice(0, -1)) * UNIT_SECONDS[unit];
}

const HOST_PORT = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):([0-9]{1,5})$/;

/** `host:port`, IPv6 in brackets; port 0 lets the system choose. */
export const hostPort = (description: string, example: string) =>
  z
    .string()
    .regex(HOST_PORT, `${description}: host:port`)
    .transform((text): HostPort => {
      const match = HOST_PORT.exec(text);
      return { host: match?.[1] ?? match?.[2] ?? '', port: Number(match?.[3]) };
    })
    .refine(({ port }) => port <= 65_535, `${description}: host:port with a port up to 65535`)
    .meta({ description, examples: [example] });

/** A path to another file, from the folder that the field's description names. */
export const filePath = (description: string, example: string) =>
  z
    .string()
    .regex(/^[^\p{C}]{1,1000}$/u, description)
    .meta({ description, examples: [example] });

/** SPIFFE-ID §2.1: a trust domain is lower case, digits, `.`, `-` and `_`. */
export const trustDomain = z
  .string()
  .regex(/^[a-z0-9._-]{1,255}$/, 'a SPIFFE trust domain: lower-case letters, digits, dots, dashes')
  .meta({ description: 'the SPIFFE trust domain of the bank', examples: ['bank.example'] });

/** A subject's name without the trust domain: `partner/ledgerly`. */
export const subjectName = z
  .string()
  .refine(isSubjectName, 'a kind and a name: partner/ledgerly, workload/payments/api, agent/helper')
  .meta({
    description: 'the SPIFFE ID of a subject without spiffe://<trust domain>/',
    examples: ['partner/ledgerly'],
  });

function isSubjectName(name: string): boolean {
  try {
    subjectFromId(`spiffe://x/${name}`);
    return true;
  } catch {
    return false;
  }
}

/** A whole SPIFFE ID, with a path. */
export const spiffeId = z
  .string()
  .refine(isSpiffeId, 'a SPIFFE ID with a path: spiffe://fintech.example/ns/payments/sa/api')
  .meta({
    description: 'a SPIFFE ID',
    examples: ['spiffe://fintech.example/ns/payments/sa/api'],
  });

function isSpiffeId(text: string): boolean {
  try {
    return parseSpiffeId(text).path !== '';
  } catch {
    return false;
  }
}

/** A Cedar type name, namespaced or not. */
export const typeName = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]*(::[A-Za-z_][A-Za-z0-9_]*)*$/, 'a Cedar entity type')
  .max(300, 'a Cedar entity type of at most 300 characters')
  .meta({ description: 'a Cedar entity type', examples: ['Accounts::Account'] });

/** The name of an entity. */
export const entityUid = z
  .strictObject({
    type: typeName,
    id: z
      .string()
      .max(2048, 'at most 2048 characters')
      .meta({ description: 'the id of the entity, as text', examples: ['22289'] }),
  })
  .meta({ description: 'the type and id of an entity' });

/** An OAuth scope: RFC 6749 §3.3, scope-token. */
export const scope = z
  .string()
  .regex(/^[\x21\x23-\x5B\x5D-\x7E]{1,200}$/, 'an OAuth scope without spaces or quotes')
  .meta({ description: 'an OAuth scope', examples: ['accounts'] });

/** An absolute https URI without fragment (RFC 8707 §2). */
export const audience = z
  .url({ protocol: /^https$/, error: 'an absolute https URI without fragment' })
  .refine((uri) => !uri.includes('#'), 'an absolute https URI without fragment')
  .meta({
    description: 'a resource indicator (RFC 8707)',
    examples: ['https://api.bank.example/accounts'],
  });

/** A day, read as its first moment after it in UTC: ms since the epoch. */
export const date = (description: string, example: string) =>
  z.iso
    .date(`${description}: a day such as ${example}`)
    .transform((text) => Date.parse(`${text}T00:00:00Z`) + 86_400_000)
    .meta({ description, examples: [example] });

/** Kinds of selectors, and what follows each: what a node can tell of a process. */
const SELECTOR =
  /^(?:unix:(?:uid|gid|supplementary_gid):[0-9]{1,10}|unix:(?:user|group|supplementary_group):[A-Za-z0-9._$-]{1,64}|unix:path:\/[^\p{C}]{1,1000}|unix:sha256:[0-9a-f]{64}|systemd:unit:[A-Za-z0-9:_.@\\-]{1,255}|socket:name:[a-z0-9][a-z0-9-]{0,62})$/u;

/** What must hold of a process: SPIRE's words for the unix attestor, `systemd:unit`, and the socket that it came in at. */
export const selector = z
  .string()
  .regex(
    SELECTOR,
    'a selector: unix:uid:<n>, unix:gid:<n>, unix:user:<name>, unix:group:<name>, unix:path:</file>, unix:sha256:<hex>, systemd:unit:<unit>, socket:name:<name>',
  )
  .meta({ description: 'a property of a process', examples: ['unix:uid:1001'] });
