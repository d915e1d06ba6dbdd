import { SUBJECT_ENTITY_BYTES_MAX } from '@countersign/model';
import { z } from 'zod';
import { attributes } from './cedar-values.ts';
import { entityUid } from './scalars.ts';

/** What a token vouches of a customer, as it is assumed in a question. */
export const subjectEntityShape = z
  .strictObject({
    attributes: attributes.default({}),
    parents: z.array(entityUid).max(100).default([]).meta({ description: 'what it is in' }),
  })
  .refine(
    (entity) => Buffer.byteLength(JSON.stringify(entity)) <= SUBJECT_ENTITY_BYTES_MAX,
    `attributes and parents of at most ${SUBJECT_ENTITY_BYTES_MAX} bytes: they travel in each token`,
  )
  .meta({
    description: 'what its token vouches of a customer who stands in no file',
    examples: [{ attributes: { tier: 'core' } }],
  });
