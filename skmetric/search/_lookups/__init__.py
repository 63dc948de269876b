"""Items found for a query: tables, arrays of neighbours, recommendations."""
