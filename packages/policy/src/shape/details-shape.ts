import { ACR_VALUES } from '@countersign/model';
import { z } from 'zod';
import { words } from './scalars.ts';

const plain = {
  label: words('what it is called, for the person who approves it', 'Amount'),
  optional: z.boolean().default(false).meta({ description: 'whether it may be left out' }),
  values: z
    .union([
      z.array(z.string()).min(1).max(500),
      z.record(z.string(), words('in words', 'A customer asked for it')),
    ])
    .optional()
    .meta({ description: 'the only values, or each of them with its words', examples: [['EUR']] }),
};
const kind = z.enum(['text', 'decimal', 'integer']).default('text').meta({
  description: 'decimal: text with a point and up to four digits behind it',
});
const leaf = z.strictObject({ ...plain, kind });

const field = z.strictObject({
  ...plain,
  kind,
  fields: z
    .record(z.string(), leaf)
    .optional()
    .meta({ description: 'makes it a record of these', examples: [{}] }),
});

/** `authority.purposes`. Names are looked at where there are words for what is wrong with them. */
export const purposesShape = z
  .record(
    z.string(),
    words('what it is, for the person who says that it is for that', 'Review of a suspicion'),
  )
  .meta({
    description: 'what things are done for: codes of the type purpose, each in words',
    examples: [{ 'fraud-review': 'Review of a suspicion of fraud' }],
  });

/** `authority.authorizationDetails`. */
export const detailsShape = z
  .record(
    z.string(),
    z
      .strictObject({
        title: words('what a person approves, in words', 'Make a payment'),
        acr: z.enum(ACR_VALUES).optional().meta({ description: 'how they must sign in, at least' }),
        content: z
          .record(
            z.string(),
            z.string().regex(/^(?:\/(?:[^~/]|~[01])*)+$/, 'a JSON Pointer: /amount/value'),
          )
          .optional()
          .meta({
            description:
              'where its fields stand in the content that will be sent (JSON Pointers, RFC 6901); it is asked for, and its digest goes on',
            examples: [{ 'instructedAmount.amount': '/instructedAmount/amount' }],
          }),
        fields: z.record(z.string(), field).meta({ description: 'its fields', examples: [{}] }),
      })
      .meta({ description: 'a type' }),
  )
  .meta({ description: 'types of authorization details (RFC 9396), by name', examples: [{}] });
