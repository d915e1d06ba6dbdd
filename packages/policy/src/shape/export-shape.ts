import type { DecisionEvent, EventKind } from '@countersign/model';
import { z } from 'zod';
import { duration, filePath, hostPort, kebab } from './scalars.ts';

const EVENT_KINDS = [
  'authentication',
  'decision',
  'outcome',
  'closure',
  'administration',
  'signal',
  'alarm',
] as const satisfies readonly EventKind[];
const EFFECTS = [
  'permit',
  'deny',
  'challenge',
] as const satisfies readonly DecisionEvent['effect'][];

/** Fields that no kind of event must have, and that may name or lead to a person. */
const OMITTABLE = [
  'actors',
  'caller',
  'ip',
  'resource',
  'resourceParents',
  'session',
  'tokenHash',
  'txn',
] as const;

/** One entry of `authority.exports`; which keys go with which kind is checked beside it. */
export const exportShape = z
  .strictObject({
    name: kebab('the name of the export, in alarms and the status', 'siem'),
    kind: z.enum(['https', 'files', 'syslog', 'otlp']).meta({
      description:
        'where events go: batches over HTTPS, files, syslog over TLS, OTLP logs over HTTPS',
      examples: ['https'],
    }),
    url: z
      .string()
      .max(2000, 'a URL of at most 2000 characters')
      .refine(isSafeUrl, 'an https URL without credentials, or http to a loopback address')
      .meta({
        description: 'https and otlp: where batches are posted',
        examples: ['https://siem.bank.example/ingest'],
      })
      .optional(),
    format: z
      .enum(['ndjson', 'json'])
      .meta({ description: 'https: an event a line, or an array; by default ndjson' })
      .optional(),
    folder: filePath('files: the folder, from the repository', '/var/log/countersign').optional(),
    address: hostPort(
      'syslog: host and port of the receiver',
      'syslog.bank.example:6514',
    ).optional(),
    caFile: filePath(
      "the receiver's authorities, PEM; by default the system's",
      'siem-ca.pem',
    ).optional(),
    certificateFile: filePath(
      "the exporter's certificate, PEM",
      '/run/secrets/siem.pem',
    ).optional(),
    keyFile: filePath('the key of that certificate, PEM', '/run/secrets/siem.key').optional(),
    tokenFile: filePath(
      'https and otlp: a bearer token, read for each batch',
      '/run/secrets/siem.token',
    ).optional(),
    maxLag: duration('an alarm when an event waits longer', {
      min: '1s',
      max: '24h',
      example: '5m',
    }).prefault('5m'),
    kinds: z
      .array(z.enum(EVENT_KINDS))
      .min(1, 'at least one kind')
      .meta({ description: 'only events of these kinds', examples: [['decision', 'alarm']] })
      .optional(),
    effects: z
      .array(z.enum(EFFECTS))
      .min(1, 'at least one effect')
      .meta({ description: 'of decisions, only these', examples: [['deny', 'challenge']] })
      .optional(),
    surfaces: z
      .array(kebab('the name of a surface', 'accounts'))
      .min(1, 'at least one surface')
      .meta({
        description: 'of events about a surface, only of these',
        examples: [['accounts']],
      })
      .optional(),
    omit: z
      .array(z.enum(OMITTABLE))
      .default([])
      .meta({ description: 'fields that do not leave the log', examples: [['ip']] }),
  })
  .meta({ description: 'a sink that events are exported to' });

function isSafeUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password, hash } = new URL(text);
  const isLoopback = /^(?:127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/.test(hostname);
  const isSafe = protocol === 'https:' || (protocol === 'http:' && isLoopback);
  return isSafe && username === '' && password === '' && hash === '';
}
