import { z } from 'zod';
import { date, duration, filePath, spiffeId, trustDomain, words } from './scalars.ts';

const bundleEndpoint = z
  .strictObject({
    url: z
      .url({ protocol: /^https$/, error: 'an https URL without user, query or fragment' })
      .refine((url) => !/[?#@]/.test(url), 'an https URL without user, query or fragment')
      .meta({
        description: "where the partner's bundle is fetched",
        examples: ['https://federation.fintech.example/'],
      }),
    profile: z.enum(['https_spiffe', 'https_web']).meta({
      description:
        'how the endpoint proves itself; agreed with the partner, never guessed: https_spiffe by an SVID, https_web by a certificate of the web',
      examples: ['https_spiffe'],
    }),
    spiffeId: spiffeId.optional().meta({
      description: 'https_spiffe: the SPIFFE ID of whoever serves it',
      examples: ['spiffe://fintech.example/workload/countersign/authority'],
    }),
    bundleFile: filePath(
      "the partner's bundle to begin with (SPIFFE JWK Set), handed over by other means; https_spiffe needs it",
      'trust/fintech.example.json',
    ).optional(),
    webAuthorities: z
      .array(filePath('a PEM file of certificate authorities', 'trust/fintech-web-ca.pem'))
      .max(20)
      .default([])
      .meta({
        description:
          "https_web: whose certificates are believed, in place of the web's authorities",
      }),
  })
  .meta({ description: "the partner's bundle endpoint (SPIFFE Federation)" });

/** One entry of `federation/*.yaml`. */
export const federationPartnerShape = z
  .strictObject({
    trustDomain: trustDomain.meta({
      description: "the partner's SPIFFE trust domain",
      examples: ['fintech.example'],
    }),
    owner: words('who at the bank answers for it', 'open-banking@bank.example'),
    expires: date('the day on which the federation itself ends, in UTC', '2027-12-31'),
    trustFor: duration('how long the last bundle is trusted when its endpoint is not heard', {
      min: '10m',
      max: '720h',
      example: '24h',
    }).prefault('24h'),
    bundleEndpoint,
  })
  .meta({ description: 'a trust domain that the bank federates with' });

/** `federation/*.yaml`. */
export const federationShape = z
  .array(federationPartnerShape)
  .meta({ title: 'federation/*.yaml', description: 'trust domains of partners' });
