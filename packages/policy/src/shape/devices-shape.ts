import { ASSURANCES, POSTURE_SIGNALS } from '@countersign/model';
import { z } from 'zod';
import { duration, filePath, hostPort, kebab } from './scalars.ts';

const maxAge = (description: string, example: string) =>
  duration(description, { min: '1m', max: '8760h', example });

const assurance = (description: string) =>
  z.enum(ASSURANCES).meta({ description, examples: ['managed'] });

const signal = z.enum(POSTURE_SIGNALS, { error: 'a signal of a posture' });

const source = z
  .strictObject({
    name: kebab('the name of the source; its webhooks come to /posture/<name>', 'intune'),
    format: z.enum(['countersign', 'crowdstrike', 'fleet', 'intune', 'jamf', 'osquery']).meta({
      description:
        "in whose shape it tells: Countersign's own, CrowdStrike's Zero Trust Assessment, Fleet's hosts, Microsoft Graph's managed devices, Jamf Pro's inventory, osquery's snapshots",
      examples: ['intune'],
    }),
    assurance: assurance(
      'how well it vouches: reported (the device says so itself), managed (a system that controls it), attested (hardware signed it)',
    ),
    checks: z
      .record(z.string().min(1).max(500), signal)
      .refine((checks) => Object.keys(checks).length <= 200, 'at most 200 checks')
      .meta({
        description:
          "which of its checks is which signal: Fleet's policies, osquery's queries and CrowdStrike's signals, by name",
        examples: [{ 'Firewall is on': 'firewallOn' }],
      })
      .optional(),
    secretFile: filePath(
      'the secret of its webhooks, whsec_…; without it its reports are only imported',
      '/run/secrets/intune.whsec',
    ).optional(),
  })
  .meta({ description: 'who tells how devices are kept' });

const limit = z
  .strictObject({
    maxAge: maxAge('so long what was seen of it counts', '1h').optional(),
    assurance: assurance('what is vouched for less well counts as unknown').optional(),
  })
  .meta({ description: 'what is asked of a signal' });

/** `authority.devices`. */
export const devicesShape = z
  .strictObject({
    certificateTtl: duration("the life of a device's certificate", {
      min: '5m',
      max: '24h',
      example: '1h',
    }).prefault('1h'),
    absence: duration('so long after its certificate ended a device may still renew with its key', {
      min: '0s',
      max: '8760h',
      example: '720h',
    }).prefault('720h'),
    posture: z
      .strictObject({
        maxAge: maxAge(
          'so long what a source saw counts, where a signal says nothing else',
          '24h',
        ).prefault('24h'),
        signals: z
          .partialRecord(signal, limit)
          .default({})
          .meta({
            description: 'limits of single signals',
            examples: [{ edrRunning: { maxAge: '1h' } }],
          }),
        sources: z
          .array(source)
          .max(50, 'at most 50 sources')
          .default([])
          .meta({ description: 'who tells how devices are kept' }),
      })
      .prefault({})
      .meta({ description: 'how devices are kept: sources, and how long what they say counts' }),
    webhooks: z
      .strictObject({
        address: hostPort('where webhooks of sources come in', '127.0.0.1:7407'),
        certificateFile: filePath(
          "the listener's certificate chain, PEM; by default the authority's SVID",
          '/run/secrets/posture.pem',
        ).optional(),
        keyFile: filePath(
          'the key of that certificate, PEM',
          '/run/secrets/posture.key',
        ).optional(),
      })
      .optional()
      .meta({ description: 'a listener for webhooks of sources' }),
  })
  .meta({ description: 'devices: their certificates, and how they are kept' });
