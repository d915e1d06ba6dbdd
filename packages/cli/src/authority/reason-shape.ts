import { z } from 'zod';

/** Why names are asked for, or destroyed: it stands in the record, so that somebody can judge it. */
export const reasonShape = z
  .string()
  .trim()
  .min(5, 'a reason of at least 5 characters')
  .max(500, 'a reason of at most 500 characters');
