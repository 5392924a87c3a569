"""From a hospital's own data to the OMOP common data model."""
