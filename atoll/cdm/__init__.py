"""OMOP databases, wherever they are. To be read in this order:

The model      tables, what it says; vocabulary, concepts, and the starter set
Text of SQL    sql, made of names and numbers only
Its engines    database, tables by URL, read and written: the face; engines, what DuckDB, PostgreSQL and Spark spell
               differently behind it
Asking         scratch, what is done with scratch tables beside a CDM that may be read-only; workspace, the same on
               each engine: cohorts, features and quality ask through it
Making         workbench, the embedded engine that reads sources and builds releases, whatever the target;
               delimited and dialects, CSV as hospitals write it; pace, how far it is; create, an empty database, and
               one validated
A hospital's   servers, its database as a source, with columns, what types become, and drivers, what each server needs;
own data       numbers, how they are written
Handing over   publish, a release to PostgreSQL or Spark; releases, PostgreSQL's schemas and who reads them;
               parquet, the folder of files; marks, whether a CDM has changed
"""
