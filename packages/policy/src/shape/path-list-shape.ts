import { z } from 'zod';
import { METHODS } from '../openapi/read-api-description.ts';

/** `paths` of a surface: each path with its methods, and what policies call them. */
export const pathListShape = z
  .record(
    z.string().max(2048),
    z.partialRecord(
      z.enum(METHODS),
      z.string().meta({ description: 'what policies call it', examples: ['BrowseConsole'] }),
    ),
  )
  .refine((paths) => Object.keys(paths).length > 0, 'at least one path')
  .meta({
    description:
      'in place of openapi, for a web application without a description: paths, each with methods and what policies call them; a path may end in /**, which is all below it',
    examples: [{ '/tickets/{TicketId}': { get: 'ReadTicket' }, '/**': { get: 'BrowseConsole' } }],
  });
