"""Its presence puts this folder on the import path, for the clip makers that the tests share."""
