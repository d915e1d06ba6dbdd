import { ACR_VALUES } from '@countersign/model';
import { z } from 'zod';

const origin = z.string().refine((text) => {
  const url = URL.parse(text);
  return url?.protocol === 'https:' && url.origin === text && text.length <= 300;
}, 'an https origin in its normal form: https://ops.bank.example');

/** RFC 9110 §7.6.1, §8.6, and what the point sends itself. */
const TAKEN =
  /^(?:connection|keep-alive|te|trailer|transfer-encoding|upgrade|content-.*|host|expect|cookie|origin|authorization|proxy-.*|txn-token|x-forwarded-.*|sec-.*)$/i;

/** `web` of a listener. */
export const webShape = z
  .strictObject({
    origin: origin.meta({
      description: "where browsers reach it, without a path; another host than the issuer's",
      examples: ['https://ops.bank.example'],
    }),
    acr: z.enum(ACR_VALUES).default('phr').meta({
      description:
        'how people must sign in, at least: phr phishing-resistant, phrh by attested hardware',
    }),
    userHeader: z
      .string()
      // RFC 9110 §5.1: a field name is a token.
      .regex(/^[!#$%&'*+.^`|~0-9A-Za-z-]{1,100}$/, 'the name of a header, without _')
      .refine(
        (name) => !TAKEN.test(name),
        'a header of its own: not one that frames the message, or that says something else',
      )
      .optional()
      .meta({
        description:
          'a header in which the application is told who asks, such as alice of human/alice; callers cannot set it',
        examples: ['Remote-User'],
      }),
    allowedOrigins: z
      .array(origin.meta({ examples: ['https://forms.bank.example'] }))
      .max(50)
      .default([])
      .meta({
        description: 'other origins whose pages may send it forms, or open WebSockets',
      }),
  })
  .meta({
    description:
      'makes this a listener for browsers, before a web application: people sign in at the issuer',
  });
