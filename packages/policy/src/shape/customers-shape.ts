import { z } from 'zod';
import { subjectName } from './scalars.ts';

/** `authority.customers` of `countersign.yaml`. */
export const customersShape = z
  .strictObject({
    sources: z
      .array(subjectName)
      .max(20)
      .default([])
      .meta({
        description: 'workloads of the bank that write its customers, by their SVIDs',
        examples: [['workload/core/onboarding']],
      }),
  })
  .meta({ description: 'who keeps the customers of the bank' });
