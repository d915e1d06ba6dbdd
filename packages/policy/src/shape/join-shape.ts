import { z } from 'zod';
import { filePath, kebab } from './scalars.ts';

/** Text in which `{name}` stands for the last part of the subject's id. */
const template = (description: string, example: string) =>
  z
    .string()
    .regex(/^(?:[^\p{C}{}]|\{name\}){1,500}$/u, `${description}; of braces only {name}`)
    .meta({
      description: `${description}; {name} is the last part of the subject's id`,
      examples: [example],
    });

const certificate = z
  .strictObject({
    authorities: z
      .array(filePath("a PEM file of the bank's enrolment authorities", 'trust/hosts-ca.pem'))
      .min(1, 'at least one file of authorities')
      .max(20)
      .meta({
        description: 'whose certificates these are: no other authority counts',
        examples: [['trust/hosts-ca.pem']],
      }),
    fingerprints: z
      .array(
        filePath(
          'a PEM file with one certificate, or sha256:<base64url> of its DER',
          'trust/host-a.pem',
        ),
      )
      .min(1, 'at least one certificate')
      .max(20)
      .optional()
      .meta({ description: 'the very certificates', examples: [['trust/host-a.pem']] }),
    commonName: template(
      "the common name of the certificate's subject",
      '{name}.hosts.bank.example',
    ).optional(),
    serial: z
      .string()
      .regex(/^[0-9A-Fa-f:]{1,64}$/, "the certificate's serial number in hexadecimal")
      .transform((text) =>
        text
          .replaceAll(':', '')
          .toLowerCase()
          .replace(/^0+(?=.)/, ''),
      )
      .optional()
      .meta({
        description: "the certificate's serial number, hexadecimal",
        examples: ['4f3a09c1'],
      }),
    dnsName: template('one of its DNS names', '{name}.hosts.bank.example').optional(),
    uri: template('one of its URIs', 'urn:host:{name}').optional(),
  })
  .meta({ description: "a certificate from the bank's own authority, with its key on the host" });

const kubernetes = z
  .strictObject({
    cluster: kebab("a cluster's name under authority.kubernetes", 'prod'),
    namespace: z
      .string()
      .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'a namespace: an RFC 1123 label')
      .meta({ description: 'the namespace', examples: ['payments'] }),
    serviceAccount: z
      .string()
      .regex(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/, 'a service account: an RFC 1123 name')
      .meta({ description: 'the service account', examples: ['api'] }),
    pod: template("the pod's name, where one pod is meant", 'edge-0').optional(),
    node: template('the node that the pod is bound to, where it matters', '{name}').optional(),
  })
  .meta({ description: 'the projected service account token of a pod' });

/** One entry of `join`: exactly one way. */
export const joinShape = z
  .strictObject({
    certificate: certificate.optional(),
    kubernetes: kubernetes.optional(),
  })
  .refine(
    (way) => (way.certificate === undefined) !== (way.kubernetes === undefined),
    'certificate or kubernetes, one of them in each entry',
  )
  .meta({
    description: 'one way to join without a join token',
    examples: [
      {
        certificate: { authorities: ['trust/hosts-ca.pem'], dnsName: '{name}.hosts.bank.example' },
      },
    ],
  });

/** `join` of an identity or a point. */
export const joinsShape = z
  .array(joinShape)
  .max(20)
  .default([])
  .meta({ description: 'by what it may join without a join token; each entry is one way' });

/** One entry of `authority.kubernetes`. */
export const clusterShape = z
  .strictObject({
    name: kebab('the name of the cluster, as registrations say it', 'prod'),
    server: z
      .url({ protocol: /^https$/, error: 'an https URL without path' })
      .refine((url) => URL.canParse(url) && new URL(url).origin === url.replace(/\/$/, ''), {
        error: 'an https URL without path',
      })
      .transform((url) => new URL(url).origin)
      .meta({
        description: 'the API server',
        examples: ['https://kubernetes.prod.bank.example:6443'],
      }),
    caFile: filePath("a PEM file of the API server's authorities", '/etc/countersign/prod-ca.pem'),
    tokenFile: filePath(
      "the authority's own token at that cluster, which may create tokenreviews; read at each review",
      '/run/secrets/prod-reviewer.token',
    ),
    audience: z
      .string()
      .regex(/^[\x21-\x7e]{1,500}$/, 'an audience without spaces')
      .optional()
      .meta({
        description: 'what tokens must be for, by default spiffe://<trust domain>',
        examples: ['spiffe://bank.example'],
      }),
  })
  .meta({ description: 'a Kubernetes cluster whose pods may join' });
