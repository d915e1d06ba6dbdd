import { z } from 'zod';
import { attributes } from './cedar-values.ts';
import { entityUid } from './scalars.ts';

/** One entry of `entities/*.yaml`. */
export const entityShape = z
  .strictObject({
    uid: entityUid,
    attributes: attributes.default({}),
    parents: z.array(entityUid).max(1000).default([]).meta({ description: 'what it is in' }),
  })
  .meta({ description: 'an entity that policies ask about' });

/** `entities/*.yaml`. */
export const entitiesShape = z
  .array(entityShape)
  .meta({ title: 'entities/*.yaml', description: 'further entities that policies ask about' });
